import { z } from 'zod'
import type { World } from '../world/world.js'
import { type Endpoints, fromCursor, memberId, OptionalText, read, Refusal, toCursor } from './endpoint.js'

const ROOT_DEPARTMENT = 1

/** Members and the one department they are in (pages 90196, 90200, 96067, 90208). */
export function memberEndpoints(world: World): Endpoints {
  const members = world.scenario.members
  const department = { id: ROOT_DEPARTMENT, parentid: 0, order: 100000000 }
  const simple = () => members.map((m) => ({ userid: m.userId, name: m.name, department: [ROOT_DEPARTMENT] }))
  const detail = (userId: string) => {
    const member = world.member(userId)!
    return {
      userid: member.userId,
      name: member.name,
      department: [ROOT_DEPARTMENT],
      order: [0],
      position: '导购',
      is_leader_in_dept: [0],
      direct_leader: [],
      status: 1,
      main_department: ROOT_DEPARTMENT,
    }
  }
  const checkDepartment = (params: Record<string, unknown>, name: string, required: boolean) => {
    const id = params[name]
    if (id === undefined && required) throw new Refusal(41019, 'missing department id')
    if (id !== undefined && Number(id) !== ROOT_DEPARTMENT) throw new Refusal(60003, 'department not found')
  }
  return {
    '/cgi-bin/user/get': {
      empty: { department: [], order: [], is_leader_in_dept: [], direct_leader: [] },
      handle: ({ params }) => detail(memberId(world, read(z.object({ userid: OptionalText }), params).userid)),
    },
    '/cgi-bin/user/simplelist': {
      forContactSync: true,
      handle: ({ params }) => {
        checkDepartment(params, 'department_id', true)
        return { userlist: simple() }
      },
    },
    '/cgi-bin/user/list': {
      handle: ({ params }) => {
        checkDepartment(params, 'department_id', true)
        return { userlist: members.map((m) => detail(m.userId)) }
      },
    },
    '/cgi-bin/user/list_id': {
      onlyContactSync: true,
      empty: { dept_user: [] },
      handle: ({ params }) => {
        const Body = z.object({ cursor: OptionalText, limit: z.int().min(1).max(10_000).default(10_000) })
        const { cursor, limit } = read(Body, params)
        const from = fromCursor(cursor, z.tuple([z.literal('ids'), z.int().min(0)]))?.[1] ?? 0
        const page = members.slice(from, from + limit)
        const next = from + limit < members.length ? toCursor('ids', from + limit) : ''
        return { next_cursor: next, dept_user: page.map((m) => ({ userid: m.userId, department: ROOT_DEPARTMENT })) }
      },
    },
    '/cgi-bin/department/list': {
      forContactSync: true,
      handle: ({ params }) => {
        checkDepartment(params, 'id', false)
        return { department: [{ ...department, name: '沙盒公司', name_en: 'Sandbox', department_leader: [] }] }
      },
    },
    '/cgi-bin/department/simplelist': {
      forContactSync: true,
      empty: { department_id: [] },
      handle: ({ params }) => {
        checkDepartment(params, 'id', false)
        return { department_id: [department] }
      },
    },
  }
}
