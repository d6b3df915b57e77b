import { z } from 'zod'
import type { Calls } from './calls.js'
import { Cursor, List, Text } from './wire.js'

/**
 * What an app sees of a member. `gender`, `mobile`, `email`, `biz_mail`, `avatar`, `qr_code` and `address` come only to apps
 * made before 2022-06-20 (page 90196): others ask the member herself, see `signIn.details`.
 */
const Member = z.object({
  userid: z.string().min(1),
  name: Text,
  alias: Text,
  position: Text,
  /** Only departments the app may see. */
  department: List(z.number()),
  main_department: z.number().optional(),
  is_leader_in_dept: List(z.number()),
  direct_leader: List(z.string()),
  /** 1 activated, 2 disabled, 4 not activated, 5 left. */
  status: z.number().optional(),
})
export type Member = z.infer<typeof Member>
const MembersReply = z.object({ userlist: List(Member) })
const MemberIdsReply = z.object({
  dept_user: List(z.object({ userid: z.string().min(1), department: z.number() })),
  next_cursor: Cursor,
})
const UserIdReply = z.object({ userid: z.string().min(1) })

const Department = z.object({
  id: z.number(),
  name: Text,
  parentid: z.number().optional(),
  /** Larger comes first. */
  order: z.number().optional(),
  department_leader: List(z.string()),
})
export type Department = z.infer<typeof Department>
const DepartmentsReply = z.object({ department: List(Department) })
const DepartmentIdsReply = z.object({ department_id: List(Department) })
const DepartmentReply = z.object({ department: Department })

/** Members and departments (通讯录管理), as far as the app may see them. */
export function memberCalls(calls: Calls) {
  return {
    /** (page 90196) */
    get: (userId: string): Promise<Member> => calls.get('user/get', Member, { userid: userId }),
    /** Id, name and departments of a department's members (page 90200). */
    async list(departmentId: number): Promise<Member[]> {
      return (await calls.get('user/simplelist', MembersReply, { department_id: departmentId })).userlist
    },
    /** A department's members with all fields; too many are refused (45029) (page 90201). */
    async details(departmentId: number): Promise<Member[]> {
      return (await calls.get('user/list', MembersReply, { department_id: departmentId })).userlist
    },
    /** Every (member, department); needs the contact-sync secret (page 96067). */
    ids: (): AsyncIterable<{ userid: string; department: number }[]> =>
      calls.pages('user/list_id', MemberIdsReply, { limit: 10_000 }, (page) => ({
        items: page.dept_user,
        next: page.next_cursor,
      })),
    /**
     * `undefined` when nobody visible has this number (page 95402). Wrong numbers above a fifth of the head-count block the
     * call for a day: never ask for customers' numbers here.
     */
    async idOfMobile(mobile: string): Promise<string | undefined> {
      const asked = calls.read('user/getuserid', UserIdReply, { mobile })
      return (await calls.unless(['give_up_recipient'], asked))?.userid
    },
    /** `undefined` when nobody visible has this address (page 95892). */
    async idOfEmail(email: string, kind: 'corp' | 'personal' = 'corp'): Promise<string | undefined> {
      const body = { email, email_type: kind === 'corp' ? 1 : 2 }
      return (await calls.unless(['give_up_recipient'], calls.read('user/get_userid_by_email', UserIdReply, body)))
        ?.userid
    },
    /** With names; slow, for the whole tree or a subtree (page 90208). */
    async departments(id?: number): Promise<Department[]> {
      return (await calls.get('department/list', DepartmentsReply, id === undefined ? undefined : { id })).department
    },
    /** Ids and parents only, fast (page 95350). */
    async departmentIds(id?: number): Promise<Department[]> {
      const query = id === undefined ? undefined : { id }
      return (await calls.get('department/simplelist', DepartmentIdsReply, query)).department_id
    },
    /** (page 95351) */
    async department(id: number): Promise<Department> {
      return (await calls.get('department/get', DepartmentReply, { id })).department
    },
  }
}
