import { z } from 'zod'
import type { Calls } from './calls.js'
import { Bytes, checkRequest, MediaId, Url } from './content.js'
import { Cursor, List, Nothing, Text, toDate, toUnixSeconds, UnixSeconds } from './wire.js'

const Image = z.object({ msgtype: z.literal('image'), image: z.object({ media_id: MediaId }) })
const Video = z.object({ msgtype: z.literal('video'), video: z.object({ media_id: MediaId }) })
/** `media_id` is the cover. */
const Link = z.object({
  msgtype: z.literal('link'),
  link: z.object({ title: Bytes(64).optional(), url: Url, media_id: MediaId }),
})
/** Ids come from `media.uploadAttachment('moment', …)`. */
const Attachments = z.union([z.array(Image).min(1).max(9), z.array(Video).length(1), z.array(Link).length(1)])

const NewMoment = z
  .object({
    /** At most 2,000 characters and 4,000 bytes. */
    text: Bytes(4_000)
      .refine((text) => [...text].length <= 2_000, 'at most 2,000 characters')
      .optional(),
    /** Up to 9 pictures, or one film, or one link. */
    attachments: Attachments.optional(),
    /** At most 100,000; with no sender and no department everybody the app sees. */
    senderIds: z.array(z.string()).min(1).max(100_000).readonly().optional(),
    departmentIds: z.array(z.int()).min(1).readonly().optional(),
    /** Corp tags: only customers with one of them see it, and only their members publish it. */
    tagIds: z.array(z.string()).min(1).readonly().optional(),
  })
  .refine((m) => m.text ?? m.attachments, 'needs a text or attachments')
export type NewMoment = z.input<typeof NewMoment>

const JobReply = z.object({ jobid: z.string().min(1) })
const Invalid = z.object({
  user_list: List(z.string()),
  department_list: List(z.number()),
})
const ResultReply = z.object({
  /** 1 started, 2 under way, 3 finished. */
  status: z.number(),
  result: z
    .object({
      errcode: z.number().default(0),
      errmsg: Text,
      moment_id: Text,
      invalid_sender_list: Invalid.nullish(),
      invalid_external_contact_list: z.object({ tag_list: List(z.string()) }).nullish(),
    })
    .nullish(),
})
const Moment = z.object({
  moment_id: z.string().min(1),
  creator: Text,
  create_time: UnixSeconds,
  create_type: z.number(),
  visible_type: z.number().optional(),
  text: z.object({ content: Text }).nullish(),
})
const MomentsReply = z.object({ moment_list: List(Moment), next_cursor: Cursor })
const TasksReply = z.object({
  task_list: List(z.object({ userid: z.string().min(1), publish_status: z.number() })),
  next_cursor: Cursor,
})
const CustomersReply = z.object({
  customer_list: List(z.object({ external_userid: z.string().min(1) })),
  next_cursor: Cursor,
})
const Reaction = z.object({ external_userid: Text, userid: Text, create_time: UnixSeconds })
const CommentsReply = z.object({ comment_list: List(Reaction), like_list: List(Reaction) })

const Range = z.union([
  z.object({ type: z.literal(1), userid: z.string() }),
  z.object({ type: z.literal(2), partyid: z.number() }),
])
/** A member (type 1) or a department (type 2). */
export type StrategyRange = z.infer<typeof Range>
const StrategiesReply = z.object({ strategy: List(z.object({ strategy_id: z.number() })), next_cursor: Cursor })
const StrategyReply = z.object({
  strategy: z.object({
    strategy_id: z.number(),
    parent_id: z.number().optional(),
    strategy_name: z.string(),
    admin_list: List(z.string()),
  }),
})
const StrategyRangeReply = z.object({ range: List(Range), next_cursor: Cursor })
const StrategyIdReply = z.object({ strategy_id: z.number() })

export type MomentResult =
  | { kind: 'running' }
  | { kind: 'created'; momentId: string; invalidUserIds: string[]; invalidDepartmentIds: number[]; invalidTagIds: string[] }
  | { kind: 'failed'; errcode: number } // prettier-ignore
export type MomentFound = {
  momentId: string
  /** Absent when an app made it. */
  creator?: string
  createdAt: Date
  madeBy: 'company' | 'member'
  /** Seen by all customers of its members, not by some tags only. */
  isPublic: boolean
  text: string
}
/** Who liked or commented; what a comment says is not told. */
export type MomentReaction = { externalUserId?: string; userId?: string; at?: Date }

/** Moments that members publish to their customers (客户朋友圈). */
export function momentCalls(calls: Calls) {
  const path = 'externalcontact'
  const customersOf = (api: string, limit: number) => (momentId: string, userId: string) =>
    calls.pages(`${path}/${api}`, CustomersReply, { moment_id: momentId, userid: userId, limit }, (page) => ({
      items: page.customer_list.map((c) => c.external_userid),
      next: page.next_cursor,
    }))
  return {
    /** Starts a job; members then confirm. 10 a minute in the company (page 95094). @returns the job, asked about for 24 h */
    async create(moment: NewMoment): Promise<string> {
      const { text, attachments, senderIds, departmentIds, tagIds } = checkRequest(NewMoment, moment, 'Moment')
      const body = {
        text: text === undefined ? undefined : { content: text },
        attachments,
        visible_range: {
          sender_list: senderIds ?? departmentIds ? { user_list: senderIds, department_list: departmentIds } : undefined,
          external_contact_list: tagIds && { tag_list: tagIds },
        },
      } // prettier-ignore
      return (await calls.act(`${path}/add_moment_task`, JobReply, body, { priority: 'send' })).jobid
    },
    /** What became of the job (page 95094). */
    async result(jobId: string): Promise<MomentResult> {
      const { status, result } = await calls.get(`${path}/get_moment_task_result`, ResultReply, { jobid: jobId })
      if (status !== 3) return { kind: 'running' }
      const momentId = result?.moment_id
      if (momentId === undefined) return { kind: 'failed', errcode: result?.errcode ?? -1 }
      return {
        kind: 'created',
        momentId,
        invalidUserIds: result?.invalid_sender_list?.user_list ?? [],
        invalidDepartmentIds: result?.invalid_sender_list?.department_list ?? [],
        invalidTagIds: result?.invalid_external_contact_list?.tag_list ?? [],
      }
    },
    /** Stops members who have not published yet; again changes nothing (page 97612). */
    async cancel(momentId: string): Promise<void> {
      await calls.put(`${path}/cancel_moment_task`, Nothing, { moment_id: momentId })
    },
    /** Those made after `from` and before `to`, at most 30 days apart (page 93333). */
    list: (
      from: Date,
      to: Date,
      { madeBy, creator }: { madeBy?: 'company' | 'member'; creator?: string } = {},
    ): AsyncIterable<MomentFound[]> =>
      calls.pages(
        `${path}/get_moment_list`,
        MomentsReply,
        {
          start_time: toUnixSeconds(from),
          end_time: toUnixSeconds(to),
          creator,
          filter_type: madeBy === undefined ? 2 : madeBy === 'company' ? 0 : 1,
          limit: 20,
        },
        (page) => ({ items: page.moment_list.map(toFound), next: page.next_cursor }),
      ),
    /** Members whose task it is, and who has published. Only of the company's. @throws {WecomError} 41067, 41079 */
    tasks: (momentId: string): AsyncIterable<{ userId: string; isPublished: boolean }[]> =>
      calls.pages(`${path}/get_moment_task`, TasksReply, { moment_id: momentId, limit: 1_000 }, (page) => ({
        items: page.task_list.map((t) => ({ userId: t.userid, isPublished: t.publish_status === 1 })),
        next: page.next_cursor,
      })),
    /** Customers a member chose to show it to. */
    customers: customersOf('get_moment_customer_list', 1_000),
    /** Customers who can see it. */
    viewers: customersOf('get_moment_send_result', 5_000),
    /** @throws {WecomError} 41062 while she has not published it */
    async reactions(
      momentId: string,
      userId: string,
    ): Promise<{ comments: MomentReaction[]; likes: MomentReaction[] }> {
      const body = { moment_id: momentId, userid: userId }
      const { comment_list, like_list } = await calls.read(`${path}/get_moment_comments`, CommentsReply, body)
      return { comments: comment_list.map(toReaction), likes: like_list.map(toReaction) }
    },

    /** Rule groups of who may do what with moments; the platform wants these called one after the other (page 94890). */
    strategies: (): AsyncIterable<number[]> =>
      calls.pages(`${path}/moment_strategy/list`, StrategiesReply, { limit: 1_000 }, (page) => ({
        items: page.strategy.map((s) => s.strategy_id),
        next: page.next_cursor,
      })),
    async strategy(strategyId: number): Promise<z.infer<typeof StrategyReply>['strategy']> {
      return (await calls.read(`${path}/moment_strategy/get`, StrategyReply, { strategy_id: strategyId })).strategy
    },
    strategyRange: (strategyId: number): AsyncIterable<StrategyRange[]> =>
      calls.pages(
        `${path}/moment_strategy/get_range`,
        StrategyRangeReply,
        { strategy_id: strategyId, limit: 1_000 },
        (page) => ({ items: page.range, next: page.next_cursor }),
      ),
    /** @param adminIds - 1 to 20 */
    async createStrategy(name: string, adminIds: readonly string[], range: readonly StrategyRange[]): Promise<number> {
      const body = { strategy_name: name, admin_list: adminIds, range }
      return (await calls.act(`${path}/moment_strategy/create`, StrategyIdReply, body)).strategy_id
    },
    async editStrategy(
      strategyId: number,
      change: { name?: string; adminIds?: readonly string[]; add?: readonly StrategyRange[]; remove?: readonly StrategyRange[] },
    ): Promise<void> {
      const { name, adminIds, add, remove } = change
      const body = { strategy_name: name, admin_list: adminIds, range_add: add, range_del: remove }
      await calls.put(`${path}/moment_strategy/edit`, Nothing, { strategy_id: strategyId, ...body })
    }, // prettier-ignore
    async deleteStrategy(strategyId: number): Promise<void> {
      await calls.act(`${path}/moment_strategy/del`, Nothing, { strategy_id: strategyId })
    },
  }
}

function toFound(moment: z.infer<typeof Moment>): MomentFound {
  return {
    momentId: moment.moment_id,
    ...(moment.creator !== undefined && { creator: moment.creator }),
    createdAt: new Date(moment.create_time * 1000),
    madeBy: moment.create_type === 0 ? 'company' : 'member',
    isPublic: moment.visible_type !== 0,
    text: moment.text?.content ?? '',
  }
}

function toReaction({ external_userid, userid, create_time }: z.infer<typeof Reaction>): MomentReaction {
  const at = toDate(create_time)
  return {
    ...(external_userid !== undefined && { externalUserId: external_userid }),
    ...(userid !== undefined && { userId: userid }),
    ...(at !== undefined && { at }),
  }
}
