import { z } from 'zod'
import type { Calls } from './calls.js'
import { Cursor, List, Text } from './wire.js'

const Member = z.object({
  userid: z.string().min(1),
  name: Text,
  department: List(z.number()),
  /** 1 activated, 2 disabled, 4 not activated, 5 left. */
  status: z.number().optional(),
})
export type Member = z.infer<typeof Member>
const MembersReply = z.object({ userlist: List(Member) })
const MemberIdsReply = z.object({
  dept_user: List(z.object({ userid: z.string().min(1), department: z.number() })),
  next_cursor: Cursor,
})

const Department = z.object({ id: z.number(), name: Text, parentid: z.number().optional() })
export type Department = z.infer<typeof Department>
const DepartmentsReply = z.object({ department: List(Department) })

/** Members and departments (通讯录管理). */
export function memberCalls(calls: Calls) {
  return {
    get: (userId: string): Promise<Member> => calls.get('user/get', Member, { userid: userId }),
    async list(departmentId: number): Promise<Member[]> {
      return (await calls.get('user/simplelist', MembersReply, { department_id: departmentId })).userlist
    },
    /** Every (member, department); needs the contact-sync secret. */
    ids: (): AsyncIterable<{ userid: string; department: number }[]> =>
      calls.pages('user/list_id', MemberIdsReply, { limit: 10_000 }, (page) => ({
        items: page.dept_user,
        next: page.next_cursor,
      })),
    async departments(): Promise<Department[]> {
      return (await calls.get('department/list', DepartmentsReply)).department
    },
  }
}
