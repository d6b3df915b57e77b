import { hashKey, quickUnitOf } from '../../src/random.js'
import { DAY_MS, HOUR_MS } from '../../src/time.js'
import type { Population } from '../population.js'
import type { ScenarioDepartment, ScenarioMember } from '../scenario.js'
import type { DailyHours } from './calendar.js'
import { squeezeIntoDay } from './calendar.js'

/** Draws about one customer or member, told apart by number. Never renumber: worlds would change. */
const Draw = {
  gender: 1, followers: 2, owner: 3, addedAt: 4, arrives: 5, half: 6, unionId: 7, tags: 8, tag: 9, state: 10,
  group: 11, groupNumber: 12, memberKind: 13, liveliness: 14, spend: 15, resigns: 16, resignsAt: 17, idTail: 18,
} as const // prettier-ignore

export type Customer = {
  externalUserId: string
  unionId: string | undefined
  name: string
  gender: number
}

/**
 * Who the people of a `population` are. Nothing is stored: everything about a customer or member follows from the seed
 * and a number, and a customer's id holds the number.
 */
export class People {
  readonly members: readonly ScenarioMember[]
  readonly departments: readonly ScenarioDepartment[]
  private readonly prefix: string

  constructor(
    private readonly seed: number,
    readonly settings: Population,
    readonly startAt: Date,
    readonly tagIds: readonly string[],
    readonly wakingHours: DailyHours,
  ) {
    this.prefix = `wm${hashKey(10, seed, 'population')}`
    this.departments = Array.from({ length: settings.departments }, (_, i) => ({
      id: i + 2,
      name: `门店 ${pad(i + 1, 3)}`,
      parentId: 1,
    }))
    this.members = Array.from({ length: settings.members }, (_, i) => this.toMember(i))
  }

  get customers(): number {
    return this.settings.customers
  }

  /** Ids rise with the numbers, so that a million of them are inserted at the end of their table. */
  externalUserId(customer: number): string {
    const tail = Math.floor(this.draw(Draw.idTail, customer) * 32 ** 6)
    return `${this.prefix}${pad(customer.toString(32), 7)}${pad(tail.toString(32), 7)}SANDBX`
  }

  /** The number in an id of ours; `undefined` for anybody else. */
  customerOf(externalUserId: string): number | undefined {
    if (!externalUserId.startsWith(this.prefix)) return undefined
    const customer = Number.parseInt(externalUserId.slice(this.prefix.length, this.prefix.length + 7), 32)
    return customer < this.customers ? customer : undefined
  }

  customer(customer: number): Customer {
    const externalUserId = this.externalUserId(customer)
    return {
      externalUserId,
      unionId:
        this.draw(Draw.unionId, customer) < this.settings.unionIdRatio ? `ou${externalUserId.slice(6)}` : undefined,
      name: `顾客 ${pad(customer + 1, 6)}`,
      gender: Math.floor(this.draw(Draw.gender, customer) * 3),
    }
  }

  /** The members who have him at the start, or will when he arrives; the first is the one who counts as his. */
  followers(customer: number): ScenarioMember[] {
    const { members } = this
    const share = this.draw(Draw.followers, customer)
    let count = 0
    for (let sum = 0; count < this.settings.followersPerCustomer.length && sum <= share; count++)
      sum += this.settings.followersPerCustomer[count]!
    const first = this.owner(customer)
    return Array.from({ length: Math.min(count, members.length) }, (_, i) => members[(first + i) % members.length]!)
  }

  /** The first of them, by number. */
  owner(customer: number): number {
    return Math.floor(this.draw(Draw.owner, customer) * this.members.length)
  }

  /** After the start for those who arrive later, at any time of the day; before it, in waking hours. */
  addedAtMs(customer: number): number {
    const { arriving, addedOverDays } = this.settings
    const when = this.draw(Draw.addedAt, customer)
    const startMs = this.startAt.getTime()
    if (this.arrivesLater(customer)) return startMs + when * arriving.overDays * DAY_MS
    return Math.min(squeezeIntoDay(startMs - DAY_MS * (1 + when * addedOverDays), this.wakingHours), startMs)
  }

  arrivesLater(customer: number): boolean {
    return this.draw(Draw.arrives, customer) < this.settings.arriving.ratio
  }

  arrivesHalf(customer: number): boolean {
    return this.draw(Draw.half, customer) < this.settings.arriving.halfRatio
  }

  tagsOf(customer: number): string[] {
    if (this.tagIds.length === 0) return []
    const mean = this.settings.tagsPerCustomer
    const count = Math.floor(this.draw(Draw.tags, customer) * (2 * mean + 1))
    const tags = new Set<string>()
    for (let i = 0; i < count; i++)
      tags.add(this.tagIds[Math.floor(this.draw(Draw.tag, customer, i) * this.tagIds.length)]!)
    return [...tags].sort()
  }

  state(customer: number): string | undefined {
    const { states } = this.settings
    return states[Math.floor(this.draw(Draw.state, customer) * (states.length + 1))]
  }

  groupId(member: number, n: number): string {
    return `wr${hashKey(30, this.seed, 'group', member, n)}`
  }

  /** The group of his first member that he is in at the start. */
  groupOf(customer: number): string | undefined {
    const { perMember, customerRatio } = this.settings.groups
    if (perMember === 0 || this.draw(Draw.group, customer) >= customerRatio) return undefined
    return this.groupId(this.owner(customer), Math.floor(this.draw(Draw.groupNumber, customer) * perMember))
  }

  /** How lively he is against the average: mean 1, from 0.25 up, most below the mean. */
  liveliness(customer: number): number {
    return 0.25 - 0.75 * Math.log(1 - this.draw(Draw.liveliness, customer))
  }

  /** What one of his orders is worth: his own level, and chance. */
  orderMinor(customer: number, n: number): number {
    const own = 0.4 + 1.2 * this.draw(Draw.spend, customer)
    return Math.max(1, Math.round(this.settings.orderMinor.mean * own * (0.5 + this.draw(Draw.spend, customer, n + 1))))
  }

  private toMember(i: number): ScenarioMember {
    const { memberKinds, departments, absentRatio, resignPerYear, ownSendsPerMonth, ownSendRatio } = this.settings
    const share = this.draw(Draw.memberKind, -1 - i)
    let sum = 0
    const kind = memberKinds.find((k) => (sum += k.share) > share) ?? memberKinds.at(-1)!
    const resigns = this.draw(Draw.resigns, -1 - i) < resignPerYear
    const resignsMs = this.startAt.getTime() + this.draw(Draw.resignsAt, -1 - i) * 365 * DAY_MS
    return {
      userId: `guide${pad(i + 1, 3)}`,
      name: `导购 ${pad(i + 1, 3)}`,
      diligence: { confirmAtOnce: kind.confirmAtOnce, confirmLate: kind.confirmLate, never: kind.never },
      untickRatio: kind.untickRatio,
      workHours: ['09:30', '20:30'],
      absentRatio,
      ownSendsPerMonth,
      ownSendRatio,
      departmentIds: [departments === 0 ? 1 : 2 + (i % departments)],
      position: '导购',
      isActivated: true,
      hasCustomerContact: true,
      customerLimit: 20_000,
      ...(resigns ? { resignsAt: new Date(Math.floor(resignsMs / HOUR_MS) * HOUR_MS) } : {}),
    }
  }

  private draw(purpose: number, who: number, what = 0): number {
    return quickUnitOf(this.seed, purpose, who, what)
  }
}

function pad(text: string | number, length: number): string {
  return String(text).padStart(length, '0')
}
