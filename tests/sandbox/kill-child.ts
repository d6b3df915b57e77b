import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { DAY_MS, HOUR_MS } from '../../src/time.js'
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.js'
import { parseScenario } from '../../sandbox/scenario.js'
import { type Api, cardBody, client, contact, massBody, START } from './support.js'

/**
 * A sandbox and a client of it that live `days` days in one process, to be killed at any moment: the client keeps how
 * far it came in a file, and settles what it may have asked for already by reading back. It prints a dot for each thing
 * it does.
 */
const [dir = '', callbackUrl = '', days = '1'] = process.argv.slice(2)
const STEP_MS = 6 * HOUR_MS
const GUIDES = ['g1', 'g2', 'g3']

const scenario = parseScenario({
  members: GUIDES.map((userId) => ({
    userId,
    name: userId,
    diligence: { confirmAtOnce: 0.5, confirmLate: 0.3, never: 0.2 },
  })),
  contacts: Array.from({ length: 60 }, (_, i) =>
    contact(
      `wm${i}`,
      GUIDES[i % 3]!,
      i % 4 === 0 ? { addedAt: new Date(START.getTime() + (i / 4) * DAY_MS).toISOString() } : {},
    ),
  ),
  quotaMode: 'week_7',
  habits: { readRatio: 0.8, replyRatio: 0.3, deleteRatio: 0.02 },
})

async function live(): Promise<void> {
  const sandbox = await startSandbox({
    file: `${dir}/state.db`,
    seed: 7,
    startAt: START,
    clock: 'step',
    scenario,
    callbackUrl,
  })
  const position = `${dir}/step`
  const steps = Number(days) * 4
  const sign = () => process.stdout.write('.')
  for (let step = existsSync(position) ? Number(readFileSync(position, 'utf8')) : 0; step < steps; step++) {
    await work(sandbox, step, sign)
    sign()
    await sandbox.advanceTo(new Date(START.getTime() + (step + 1) * STEP_MS))
    writeFileSync(`${position}.new`, String(step + 1))
    renameSync(`${position}.new`, position) // a kill leaves the old number or the new one
  }
  writeFileSync(`${dir}/log.json`, JSON.stringify({ log: sandbox.log(), counts: { ...sandbox.counts(), apiCalls: 0 } }))
  await sandbox.close()
}

async function work(sandbox: Sandbox, step: number, sign: () => void): Promise<void> {
  const api = await client(sandbox)
  for (const guide of GUIDES) {
    const name = `${step}-${guide}`
    const body = massBody(guide, undefined, name)
    sign()
    const done = await wasCreated(api, sandbox.now(), `https://shop.example/?d=${name}`)
    if (!done) await api.post('externalcontact/add_msg_template', body)
    sign()
    const sent = await api.post('message/send', cardBody(sandbox, guide, `card-${name}`))
    if (sent.errcode !== 0 && sent.errcode !== 42014) throw new Error(sent.errmsg)
  }
}

async function wasCreated(api: Api, now: Date, url: string): Promise<boolean> {
  const end = Math.ceil(now.getTime() / 1000)
  const body = { chat_type: 'single', start_time: end - 86_400, end_time: end, limit: 100 }
  return JSON.stringify((await api.post('externalcontact/get_groupmsg_list_v2', body))['group_msg_list']).includes(
    `"${url}"`,
  )
}

await live()
