import { z } from 'zod'
import { said } from '../../said.js'
import { TimeOfDay } from '../../parse.js'
import { parseTimeOfDay, toWallTime } from '../../time.js'

const TagTest = z.strictObject({
  tag: z.string().min(1).describe(said('标签 id', 'a tag id')),
  is: z
    .string()
    .optional()
    .describe(said('标签的值；不写表示有这个标签', 'its value; without it having the tag is enough')),
})

const ImageSource = z
  .union([
    z.strictObject({ url: z.url().describe(said('上传图片接口给的地址', 'an address from media/uploadimg')) }),
    z.strictObject({
      file: z
        .string()
        .min(1)
        .describe(said('图片文件，自动上传，三天内更新', 'an image file; it is uploaded and kept fresh')),
    }),
  ])
  .describe(said('图片', 'an image'))

export const WelcomeAttachment = z.union([
  z.strictObject({
    link: z.strictObject({
      title: z.string().min(1).max(42),
      url: z.url(),
      description: z.string().max(170).optional(),
      imageUrl: z.url().optional(),
    }),
  }),
  z.strictObject({
    miniprogram: z.strictObject({
      title: z.string().min(1).max(21).describe(said('最多 64 字节', 'at most 64 bytes')),
      appId: z
        .string()
        .regex(/^wx[0-9a-zA-Z]+$/, said('小程序的 appid 以 wx 开头', 'a mini program’s appid begins with wx')),
      page: z.string().min(1),
      image: z.strictObject({ file: z.string().min(1).describe(said('封面 520×416', 'the cover')) }),
    }),
  }),
  z.strictObject({ image: ImageSource }),
])
export type WelcomeAttachment = z.infer<typeof WelcomeAttachment>

export const WelcomeRule = z.strictObject({
  id: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/, said('规则 id 用小写字母、数字和短横', 'a rule id is lower case with dashes')),
  when: z
    .strictObject({
      state: z
        .array(z.string().min(1))
        .min(1)
        .optional()
        .describe(
          said(
            '渠道活码的 state，任一个；末尾 * 表示前缀',
            'state of the contact way, any of these; a * at the end stands for the rest',
          ),
        ),
      members: z
        .array(z.string().min(1))
        .min(1)
        .optional()
        .describe(said('加的是这些成员', 'added one of these members')),
      tags: z
        .array(TagTest)
        .min(1)
        .optional()
        .describe(said('老客户身上的标签，全部满足', 'tags she has already, all of them')),
      hours: z
        .strictObject({ from: TimeOfDay, to: TimeOfDay })
        .optional()
        .describe(said('业务时区里的时段，可跨午夜', 'time of day in the business time zone, also across midnight')),
    })
    .default({})
    .describe(said('全部满足才用；不写表示总是', 'all of it must hold; without it the rule always applies')),
  content: z
    .string()
    .optional()
    .describe(said('内容 id（config/content）；不写则不发', 'a content id; without one nothing is said')),
  attachments: z
    .array(WelcomeAttachment)
    .max(8)
    .default([])
    .describe(said('附件；内容自带的链接排在最前', 'attachments; the content’s own link comes first')),
})
export type WelcomeRule = z.infer<typeof WelcomeRule>

/** `config/welcome.yaml`: what a new customer is greeted with; the first rule that holds. */
export const WelcomeFile = z.strictObject({ rules: z.array(WelcomeRule) })

export type WelcomeFacts = {
  userId: string
  state: string | undefined
  /** Values of the tags she has, by id. */
  tags: ReadonlyMap<string, string>
  now: Date
  timeZone: string
}

/** The first rule that holds. */
export function chooseWelcome(rules: readonly WelcomeRule[], facts: WelcomeFacts): WelcomeRule | undefined {
  return rules.find(({ when }) => {
    const { state, members, tags, hours } = when
    return (
      (state === undefined || state.some((pattern) => matchesState(pattern, facts.state ?? ''))) &&
      (members === undefined || members.includes(facts.userId)) &&
      (tags === undefined || tags.every((t) => hasTag(facts.tags.get(t.tag), t.is))) &&
      (hours === undefined || isWithin(hours, facts.now, facts.timeZone))
    )
  })
}

function matchesState(pattern: string, state: string): boolean {
  return pattern.endsWith('*') ? state.startsWith(pattern.slice(0, -1)) : state === pattern
}

function hasTag(value: string | undefined, wanted: string | undefined): boolean {
  return wanted === undefined ? value !== undefined && value !== 'false' : value === wanted
}

function isWithin({ from, to }: { from: string; to: string }, now: Date, timeZone: string): boolean {
  const { hour, minute } = toWallTime(now, timeZone)
  const at = hour * 60 + minute
  const [begin, end] = [parseTimeOfDay(from)!, parseTimeOfDay(to)!] // the schema has seen to it
  return begin <= end ? at >= begin && at < end : at >= begin || at < end
}
