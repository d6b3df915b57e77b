import { z } from 'zod'
import { DAY_MS, HOUR_MS } from '../../../src/time.js'
import { Member, type ScenarioDepartment, type ScenarioMember } from '../../scenario.js'
import type { World } from '../../world/world.js'
import type { XmlFields } from '../../xml.js'
import {
  type Call,
  type Endpoints,
  fromCursor,
  memberId,
  OptionalText,
  read,
  Refusal,
  type Reply,
  toCursor,
} from '../core/endpoint.js'
import { sees } from './visibility.js'

const ROOT_DEPARTMENT = 1
/** Page 96067. */
const IDS_MAX = 10_000
/** Page 90201: more in one answer are refused. */
const DETAILS_MAX = 10_000
/** Page 90225: departments of one member, and levels of the tree. */
const DEPARTMENTS_MAX = 20
const LEVELS_MAX = 15
/** Page 95402: wrong numbers above this part of the head-count block the call for a day. */
const WRONG_NUMBER_RATIO = 0.2

const UserBody = z.object({
  userid: OptionalText,
  name: OptionalText,
  department: z.array(z.int()).max(DEPARTMENTS_MAX).nullish(),
  position: z.string().nullish(),
})
const DepartmentBody = z.object({ id: z.int().nullish(), name: OptionalText, parentid: z.int().nullish() })

/**
 * Members and departments: read by every app (pages 90196, 90200, 90201, 95402, 95892, 90208, 95350, 95351), written by
 * the contact-sync secret (pages 90195, 90197, 90198, 90199, 90205–90207), which calls back (page 90970). Names come as
 * they are; mobile, gender, e-mail and pictures do not, as to any app made after 2022-06-20.
 */
export function memberEndpoints(world: World): Endpoints {
  return {
    '/cgi-bin/user/get': {
      empty: { department: [], order: [], is_leader_in_dept: [], direct_leader: [] },
      handle: (call) => getUser(world, call),
    },
    '/cgi-bin/user/simplelist': {
      forContactSync: true,
      empty: { userlist: [] },
      handle: (call) => ({
        userlist: inDepartment(world, call).map((m) => ({
          userid: m.userId,
          name: m.name,
          department: m.departmentIds,
        })),
      }),
    },
    '/cgi-bin/user/list': { empty: { userlist: [] }, handle: (call) => listUsers(world, call) },
    '/cgi-bin/user/list_id': {
      onlyContactSync: true,
      empty: { dept_user: [] },
      handle: (call) => listUserIds(world, call),
    },
    '/cgi-bin/user/getuserid': { handle: (call) => getUserIdByMobile(world, call) },
    '/cgi-bin/user/get_userid_by_email': { handle: (call) => getUserIdByEmail(world, call) },
    '/cgi-bin/department/list': {
      forContactSync: true,
      empty: { department: [] },
      handle: (call) => ({ department: departmentsAsked(world, call).map(toDepartment) }),
    },
    '/cgi-bin/department/simplelist': {
      forContactSync: true,
      empty: { department_id: [] },
      handle: (call) => ({
        department_id: departmentsAsked(world, call).map((d) => ({
          id: d.id,
          parentid: d.parentId,
          order: orderOf(d),
        })),
      }),
    },
    '/cgi-bin/department/get': { forContactSync: true, handle: (call) => getDepartment(world, call) },

    '/cgi-bin/user/create': { onlyContactSync: true, writes: true, handle: (call) => createUser(world, call) },
    '/cgi-bin/user/update': { onlyContactSync: true, writes: true, handle: (call) => updateUser(world, call) },
    '/cgi-bin/user/delete': { onlyContactSync: true, writes: true, handle: (call) => deleteUser(world, call) },
    '/cgi-bin/user/batchdelete': { onlyContactSync: true, writes: true, handle: (call) => deleteUsers(world, call) },
    '/cgi-bin/department/create': {
      onlyContactSync: true,
      writes: true,
      handle: (call) => createDepartment(world, call),
    },
    '/cgi-bin/department/update': {
      onlyContactSync: true,
      writes: true,
      handle: (call) => updateDepartment(world, call),
    },
    '/cgi-bin/department/delete': {
      onlyContactSync: true,
      writes: true,
      handle: (call) => deleteDepartment(world, call),
    },
  }
}

function getUser(world: World, { params }: Call): Reply {
  const { userid } = read(z.object({ userid: OptionalText }), params)
  return toDetail(world.member(memberId(world, userid))!)
}

function listUsers(world: World, call: Call): Reply {
  const members = inDepartment(world, call)
  if (members.length > DETAILS_MAX) throw new Refusal(45029, 'response content exceed limit')
  return { userlist: members.map(toDetail) }
}

function listUserIds(world: World, { params }: Call): Reply {
  const Body = z.object({ cursor: OptionalText, limit: z.int().min(1).max(IDS_MAX).default(IDS_MAX) })
  const { cursor, limit } = read(Body, params)
  const from = fromCursor(cursor, z.tuple([z.literal('ids'), z.int().min(0)]))?.[1] ?? 0
  const rows = world.staff.employed.flatMap((m) =>
    m.departmentIds.map((department) => ({ userid: m.userId, department })),
  )
  const next = from + limit < rows.length ? toCursor('ids', from + limit) : ''
  return { next_cursor: next, dept_user: rows.slice(from, from + limit) }
}

function getUserIdByMobile(world: World, call: Call): Reply {
  const { mobile } = read(z.object({ mobile: z.string().min(5).max(32) }), call.params)
  return lookUp(world, call, (m) => privateDataOf(world, m.userId).mobile === mobile, 'wrong_mobiles')
}

function getUserIdByEmail(world: World, call: Call): Reply {
  const Body = z.object({ email: z.string().min(6).max(64), email_type: z.int().min(1).max(2).default(1) })
  const { email, email_type: kind } = read(Body, call.params)
  return lookUp(world, call, (m) => {
    const own = privateDataOf(world, m.userId)
    return (kind === 1 ? own.biz_mail : own.email) === email.toLowerCase()
  })
}

function getDepartment(world: World, { params }: Call): Reply {
  const { id } = read(z.object({ id: z.int().optional() }), params)
  if (id === undefined) throw new Refusal(41019, 'missing department id')
  return { department: toDepartment(departmentOf(world, id)) }
}

function createUser(world: World, { params, now }: Call): Reply {
  const { userid, name, department, position } = read(UserBody, params)
  if (userid === undefined) throw new Refusal(41009, 'missing userid')
  if (world.member(userid) !== undefined) throw new Refusal(60102, `userid existed:${userid}`)
  if (name === undefined) throw new Refusal(40058, 'name unexpected empty. invalid Request Parameter')
  for (const id of department ?? []) departmentOf(world, id)
  const given = { userId: userid, name, ...(department?.length && { departmentIds: department }) }
  const member = Member.safeParse({ ...given, ...(position && { position }), isActivated: false })
  if (!member.success) throw new Refusal(40003, 'invalid userid')
  world.staff.put(member.data)
  raise(world, now, { ChangeType: 'create_user', UserID: userid, Department: member.data.departmentIds.join(',') })
  return { errmsg: 'created' }
}

function updateUser(world: World, { params, now }: Call): Reply {
  const { userid, name, department, position } = read(UserBody, params)
  const member = world.member(memberId(world, userid))!
  for (const id of department ?? []) departmentOf(world, id)
  world.staff.put({
    ...member,
    ...(name !== undefined && { name }),
    ...(department?.length && { departmentIds: department }),
    ...(position != null && { position }),
  })
  const moved = department?.length ? { Department: department.join(',') } : {}
  raise(world, now, { ChangeType: 'update_user', UserID: member.userId, ...moved })
  return { errmsg: 'updated' }
}

function deleteUser(world: World, { params, now }: Call): Reply {
  const { userid } = read(z.object({ userid: OptionalText }), params)
  world.resign(memberId(world, userid), now)
  return { errmsg: 'deleted' }
}

function deleteUsers(world: World, { params, now }: Call): Reply {
  const { useridlist: ids } = read(z.object({ useridlist: z.array(z.string()).min(1).max(200) }), params)
  for (const userId of ids.map((id) => memberId(world, id))) world.resign(userId, now)
  return { errmsg: 'deleted' }
}

function createDepartment(world: World, { params, now }: Call): Reply {
  const body = read(DepartmentBody, params)
  const { name, parentId } = checked(world, body, undefined)
  const id = body.id ?? Math.max(...world.staff.departments.map((d) => d.id)) + 1
  if (world.staff.departments.some((d) => d.id === id)) throw new Refusal(60008, 'department existed')
  world.staff.putDepartment(id, { id, name, parentId })
  raise(world, now, { ChangeType: 'create_party', Id: id, Name: name, ParentId: parentId })
  return { errmsg: 'created', id }
}

function updateDepartment(world: World, { params, now }: Call): Reply {
  const body = read(DepartmentBody, params)
  if (body.id == null) throw new Refusal(41019, 'missing department id')
  const { name, parentId } = checked(world, body, departmentOf(world, body.id))
  world.staff.putDepartment(body.id, { id: body.id, name, parentId })
  raise(world, now, { ChangeType: 'update_party', Id: body.id, Name: name, ParentId: parentId })
  return { errmsg: 'updated' }
}

function deleteDepartment(world: World, { params, now }: Call): Reply {
  const { id } = read(z.object({ id: z.int() }), params)
  departmentOf(world, id)
  if (id === ROOT_DEPARTMENT || world.staff.departments.some((d) => d.parentId === id))
    throw new Refusal(60006, 'department has sub departments, or is the root')
  if (world.staff.employed.some((m) => m.departmentIds.includes(id))) throw new Refusal(60005, 'department has members')
  world.staff.putDepartment(id, null)
  raise(world, now, { ChangeType: 'delete_party', Id: id })
  return { errmsg: 'deleted' }
}

function departmentOf(world: World, id: number): ScenarioDepartment {
  const found = world.staff.departments.find((d) => d.id === id)
  if (found === undefined) throw new Refusal(60003, 'department not found')
  return found
}

function inDepartment(world: World, { params }: Call): readonly ScenarioMember[] {
  const Query = z.object({
    department_id: z.int().optional(),
    fetch_child: z.int().default(0),
  })
  const { department_id: id, fetch_child: deep } = read(Query, params)
  if (id === undefined) throw new Refusal(41019, 'missing department id')
  departmentOf(world, id)
  const ids = deep === 1 ? subtree(world, id) : new Set([id])
  return world.staff.employed.filter((m) => m.departmentIds.some((d) => ids.has(d)))
}

function departmentsAsked(world: World, { params }: Call): ScenarioDepartment[] {
  const { id } = read(z.object({ id: z.int().optional() }), params)
  if (id !== undefined) departmentOf(world, id)
  const ids = subtree(world, id ?? ROOT_DEPARTMENT)
  return world.staff.departments.filter((d) => ids.has(d.id))
}

/** The one visible member for whom `matches`; wrong questions are counted. */
function lookUp(world: World, { app, now }: Call, matches: (member: ScenarioMember) => boolean, count?: string) {
  const counter = `${count ?? ''}:${Math.floor((now.getTime() + 8 * HOUR_MS) / DAY_MS)}`
  const most = world.staff.employed.length * WRONG_NUMBER_RATIO
  if (count !== undefined && world.state.counter(counter) > most) throw new Refusal(45009, 'api freq out of limit')
  const found = world.staff.employed.find((m) => matches(m) && sees(world, app, m.userId))
  if (found !== undefined) return { userid: found.userId }
  if (count !== undefined) world.state.count(counter)
  throw new Refusal(46004, 'user not exist')
}

/** Name and place of a department that is made or changed. */
function checked(
  world: World,
  body: z.infer<typeof DepartmentBody>,
  before: ScenarioDepartment | undefined,
): { name: string; parentId: number } {
  const name = body.name ?? before?.name
  const parentId = body.parentid ?? before?.parentId
  if (name === undefined || parentId === undefined)
    throw new Refusal(40058, 'name and parentid unexpected empty. invalid Request Parameter')
  if (before?.parentId !== 0 && !world.staff.departments.some((d) => d.id === parentId))
    throw new Refusal(60123, 'parent department not found')
  if (before !== undefined && parentId !== before.parentId && subtree(world, before.id).has(parentId))
    throw new Refusal(60123, 'parent department is below')
  const levels = levelOf(world, parentId)
  if (levels >= LEVELS_MAX) throw new Refusal(81002, 'department level exceed limit')
  return { name, parentId }
}

/** Addresses configured after 2022-08-15 are told the userid and the departments only (page 90970). */
function raise(world: World, at: Date, fields: XmlFields): void {
  world.raise(at, {
    Event: 'change_contact',
    ...fields,
  })
}

/** What only the member herself can show to an app. Plainly nobody's: no number in China begins like these. */
export function privateDataOf(world: World, userId: string): { mobile: string; email: string; biz_mail: string } {
  const n = world.staff.all.findIndex((m) => m.userId === userId)
  const name = userId.toLowerCase()
  return {
    mobile: `100${String(n).padStart(8, '0')}`,
    email: `${name}@private.invalid`,
    biz_mail: `${name}@sandbox.invalid`,
  }
}

/** The department and all below it. */
function subtree(world: World, id: number): Set<number> {
  const children = new Map<number, number[]>()
  for (const d of world.staff.departments) children.set(d.parentId, [...(children.get(d.parentId) ?? []), d.id])
  const inside = new Set([id])
  for (const parent of inside) for (const child of children.get(parent) ?? []) inside.add(child)
  return inside
}

/** 1: the root. */
function levelOf(world: World, id: number): number {
  const parents = new Map(world.staff.departments.map((d) => [d.id, d.parentId]))
  let levels = 0
  for (let at: number | undefined = id; at !== undefined && at !== 0; at = parents.get(at)) levels++
  return levels
}

function toDetail(member: ScenarioMember): Record<string, unknown> {
  return {
    userid: member.userId,
    name: member.name,
    department: member.departmentIds,
    order: member.departmentIds.map(() => 0),
    position: member.position,
    is_leader_in_dept: member.departmentIds.map(() => 0),
    direct_leader: [],
    status: member.isActivated ? 1 : 4,
    main_department: member.departmentIds[0],
  }
}

function toDepartment(d: ScenarioDepartment): Record<string, unknown> {
  return {
    id: d.id,
    name: d.name,
    name_en: '',
    department_leader: [],
    parentid: d.parentId,
    order: orderOf(d),
  }
}

/** Larger comes first. */
function orderOf(d: ScenarioDepartment): number {
  return 100_000_000 - d.id
}
