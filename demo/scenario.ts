import { createReadStream } from 'node:fs'
import { parse } from 'csv-parse'
import { z } from 'zod'
import type { Scenario } from '../sandbox/scenario.js'
import { parseScenario } from '../sandbox/scenario.js'
import { parseInput } from '../src/parse.js'
import { guideName } from './names.js'
import { unitOf } from '../src/random.js'

const Row = z.object({
  external_userid: z.string(),
  unionid: z.string(),
  remark_mobile: z.string(),
  name: z.string(),
  gender: z.coerce.number().pipe(z.union([z.literal(0), z.literal(1), z.literal(2)])),
  added_at: z.string().transform((t) => new Date(t)),
  owner: z.string(),
  state: z.string(),
})

/** Share of contacts who delete their guide at some point of the live phase. */
const LEAVING = 0.02

/** Three kinds of guide, so that every way of (not) confirming happens. */
const DILIGENCE = [
  { confirmAtOnce: 0.7, confirmLate: 0.25, never: 0.05 },
  { confirmAtOnce: 0.35, confirmLate: 0.5, never: 0.15 },
  { confirmAtOnce: 0.1, confirmLate: 0.4, never: 0.5 },
]

/** The company of the demo: the contacts of `samples/wecom-contacts.csv`, divided among its guides. */
export async function loadDemoScenario(
  file: string,
  options: { seed: number; from: Date; to: Date; timeZone: string },
): Promise<Scenario> {
  const { seed, from, to } = options
  const contacts: unknown[] = []
  const owners = new Set<string>()
  for await (const row of createReadStream(file).pipe(parse({ columns: true }))) {
    const c = parseInput(Row, row, `${file} cannot be used`)
    owners.add(c.owner)
    const leaves = unitOf(seed, 'leaves', c.external_userid) < LEAVING
    const deletedAt = new Date(
      from.getTime() + Math.floor(unitOf(seed, 'leaves-at', c.external_userid) * (to.getTime() - from.getTime())),
    )
    contacts.push({
      externalUserId: c.external_userid,
      ...(c.unionid === '' ? {} : { unionId: c.unionid }),
      name: c.name,
      gender: c.gender,
      addedAt: c.added_at,
      followUserIds: [c.owner],
      state: c.state,
      remarkMobiles: c.remark_mobile === '' ? [] : [c.remark_mobile],
      ...(leaves && deletedAt > c.added_at ? { deletedAt } : {}),
    })
  }
  const members = [...owners].sort().map((userId, i) => ({
    userId,
    name: guideName(userId),
    diligence: DILIGENCE[i % DILIGENCE.length],
    workHours: ['09:30', '20:30'],
  }))
  return parseScenario(
    { timeZone: options.timeZone, members, contacts, habits: { stopRatio: 0.04, interestedRatio: 0.3 } },
    file,
  )
}
