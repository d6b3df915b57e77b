import { z } from 'zod'
import { said } from '../../said.js'
import { TimeOfDay } from '../../parse.js'

/** Characters and people WeCom takes. @see developer.work.weixin.qq.com/document/path/92228, 92229, 97297 (read 2026-08) */
const MAX = { name: 30, state: 30, channelBytes: 64, users: 100, groups: 5, groupBaseName: 40, remark: 20 } as const

const Id = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9-]{0,29}$/,
    said('id 用小写字母、数字和短横，最多 30 个字符', 'an id is lower case with dashes, at most 30 characters'),
  )
const Name = z.string().min(1).max(MAX.name)
const Day = z.iso.date()
const UserIds = z.array(z.string().min(1)).max(MAX.users)
const Scene = z.enum(['qr_code', 'mini_program']).default('qr_code')

export const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const

const Shift = z.strictObject({
  days: z
    .array(z.enum(WEEKDAYS))
    .min(1)
    .default([...WEEKDAYS])
    .describe(said('在星期几开始；默认每天', 'weekdays on which it begins; every day by default')),
  from: TimeOfDay,
  to: TimeOfDay.describe(said('不晚于 `from` 时表示过了午夜', 'past midnight when it is not after `from`')),
  users: UserIds.min(1).describe(said('值班的成员', 'members on duty')),
})

/** Who receives customers, and who stands in. */
const staff = {
  users: UserIds.default([]).describe(said('始终值班的成员（userid）', 'members who are always on duty, by userid')),
  departments: z
    .array(z.int().positive())
    .default([])
    .describe(said('整个部门值班', 'departments whose members are on duty')),
  shifts: z
    .array(Shift)
    .default([])
    .describe(said('按星期和时间排班，业务时区', 'members on duty by weekday and time, in the business time zone')),
  backup: UserIds.default([]).describe(
    said('没有人值班时顶上的成员', 'members who stand in when nobody else is on duty'),
  ),
  away: z
    .array(z.strictObject({ user: z.string().min(1), from: Day, to: Day }))
    .default([])
    .describe(
      said(
        '谁不在，起止日都含；离职或停用的成员自动算不在',
        'who is away, from and to inclusive; members who left or are disabled are away by themselves',
      ),
    ),
}
/** What is done when somebody arrives by it. */
const arrival = {
  tags: z
    .array(
      z
        .string()
        .regex(
          /^[^/]{1,30}\/[^/]{1,30}$/,
          said('写成 <标签组>/<标签名>，各最多 30 个字符', 'write it as <group>/<name>, each at most 30 characters'),
        ),
    )
    .default([])
    .describe(
      said('由此加入的客户打上的企业标签：<标签组>/<标签名>', 'corp tags put on who arrives by it: <group>/<name>'),
    ),
  remark: z
    .string()
    .min(1)
    .optional()
    .describe(
      said(
        `给由此加入的客户写的备注；{{ name }} 是她的名字，{{ way }} 是这个码的名称；截到 ${MAX.remark} 个字符`,
        `remark set on who arrives by it; {{ name }} is her name, {{ way }} the name of this; cut to ${MAX.remark}`,
      ),
    ),
}
const someone = (w: { users: string[]; departments: number[]; shifts: unknown[] }) =>
  w.users.length + w.departments.length + w.shifts.length > 0
const NOBODY = {
  message: said('没有人值班：写 users、departments 或 shifts', 'nobody is on duty: give users, departments or shifts'),
  path: ['users'],
}

/** A live code (「联系我」): a QR code or widget that leads to members. */
export const ContactWay = z
  .strictObject({
    id: Id,
    name: Name.describe(said('企业微信里的备注', 'memo in WeCom')),
    scene: Scene.describe(said('建好后不能改', 'cannot change once it is made')),
    state: z
      .string()
      .min(1)
      .max(MAX.state)
      .optional()
      .describe(said('随客户带回的渠道码；默认是 id', 'channel code that arrives with the customer; default: the id')),
    skipVerify: z
      .boolean()
      .default(true)
      .describe(said('false：成员要逐个同意', 'false: the member must agree to each customer')),
    ...staff,
    ...arrival,
  })
  .refine(someone, NOBODY)
export type ContactWay = z.infer<typeof ContactWay>

/** A code that leads into customer groups (「加入群聊」). */
export const JoinWay = z.strictObject({
  id: Id,
  name: Name.describe(said('企业微信里的备注', 'memo in WeCom')),
  scene: Scene,
  state: z
    .string()
    .min(1)
    .max(MAX.state)
    .optional()
    .describe(said('随客户带回的渠道码；默认是 id', 'channel code that arrives with the customer; default: the id')),
  groups: z
    .array(z.string().min(1))
    .min(1)
    .max(MAX.groups)
    .describe(said('群的 chat id，按填满的顺序', 'chat ids, in the order in which they fill')),
  createsGroups: z
    .boolean()
    .default(true)
    .describe(said('最后一个群满了就建新群', 'a new group is made when the last one is full')),
  groupBaseName: z
    .string()
    .min(1)
    .max(MAX.groupBaseName)
    .optional()
    .describe(said('新群的名称，后面加编号', 'new groups are called this and a number')),
  groupBaseNumber: z.int().min(1).optional(),
})
export type JoinWay = z.infer<typeof JoinWay>

/** An acquisition link (获客链接). */
export const AcquisitionLink = z
  .strictObject({
    id: Id,
    name: Name.describe(
      said('企业微信里的名称，靠它找回，不能重复', 'name in WeCom, by which it is found again: unique'),
    ),
    state: z
      .string()
      .min(1)
      .refine(
        (text) => Buffer.byteLength(text) <= MAX.channelBytes,
        said(`最多 ${MAX.channelBytes} 字节`, `at most ${MAX.channelBytes} bytes`),
      )
      .optional()
      .describe(
        said(
          '链接里的 customer_channel，随客户带回；默认是 id',
          'customer_channel of its address, arrives with the customer; default: the id',
        ),
      ),
    skipVerify: z.boolean().default(true),
    prefer: z
      .union([z.literal('friends'), UserIds.min(1)])
      .optional()
      .describe(
        said(
          '已是别人好友的客户归谁：任一好友，或只有这些成员',
          'who gets customers who are somebody’s friend already: any friend, or only these members',
        ),
      ),
    ...staff,
    ...arrival,
  })
  .refine(someone, NOBODY)
export type AcquisitionLink = z.infer<typeof AcquisitionLink>

export const WayFile = z.strictObject({ ways: z.array(ContactWay).min(1) }).describe(said('活码', 'live codes'))
export const JoinWayFile = z.strictObject({ joinWays: z.array(JoinWay).min(1) }).describe(said('群码', 'group codes'))
export const LinkFile = z
  .strictObject({ links: z.array(AcquisitionLink).min(1) })
  .describe(said('获客链接', 'acquisition links'))

/** Everything that the files under `config/wecom/` say. */
export const Ways = z.strictObject({
  ways: z.array(ContactWay).default([]),
  joinWays: z.array(JoinWay).default([]),
  links: z.array(AcquisitionLink).default([]),
})
export type Ways = z.infer<typeof Ways>

export type WayKind = 'way' | 'join_way' | 'link'
/** Members of the staff of a way or link. */
export type Staff = Pick<ContactWay, 'users' | 'departments' | 'shifts' | 'backup' | 'away'>
/** The code by which a customer is known to have come this way. */
export function channelOf({ id, state }: { id: string; state?: string | undefined }): string {
  return state ?? id
}
