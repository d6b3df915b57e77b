import type { App } from '../../identity.js'
import type { World } from '../../world/world.js'
import { Refusal, type Reply } from '../core/endpoint.js'

/** Lists of members in replies: what is in them that an app does not see is left out, in silence. */
const MEMBER_LISTS: Readonly<Record<string, { field: string; userIdOf: (item: unknown) => unknown }>> = {
  '/cgi-bin/user/simplelist': { field: 'userlist', userIdOf: ofField },
  '/cgi-bin/user/list': { field: 'userlist', userIdOf: ofField },
  '/cgi-bin/externalcontact/get_follow_user_list': { field: 'follow_user', userIdOf: (item) => item },
  '/cgi-bin/externalcontact/get': { field: 'follow_user', userIdOf: ofField },
}
/** Parameters that name members. */
const MEMBER_PARAMS = ['userid', 'userid_list', 'sender', 'handover_userid', 'takeover_userid']

/** Whether the app's visible range holds the member. */
export function sees(world: World, { visible }: App, userId: string): boolean {
  if (visible === undefined) return true
  const member = world.member(userId)
  if (member === undefined) return false
  if (visible.members.some((id) => id.toLowerCase() === member.userId.toLowerCase())) return true
  return member.departmentIds.some((id) => isBelow(world, id, visible.departments))
}

/** Naming a member outside the range is refused. @throws {Refusal} 60011 on member APIs, 84061 on customer APIs */
export function checkNamed(world: World, app: App, path: string, params: Record<string, unknown>): void {
  if (app.visible === undefined) return
  const named = MEMBER_PARAMS.flatMap((name) => params[name]).filter((id) => typeof id === 'string' && id !== '')
  for (const id of named as string[]) {
    if (world.member(id) === undefined || sees(world, app, id)) continue // an unknown one is the endpoint's business
    if (path.startsWith('/cgi-bin/externalcontact/')) throw new Refusal(84061, 'not external contact')
    throw new Refusal(60011, 'no privilege to access/modify contact/party/agent')
  }
}

/** A reply as the app may see it. @throws {Refusal} 40096 when no member it sees has the customer */
export function visibleReply(world: World, app: App, path: string, reply: Reply): Reply {
  const list = MEMBER_LISTS[path]
  if (app.visible === undefined || list === undefined || 'content' in reply) return reply
  const items = (reply[list.field] as unknown[]).filter((item) => sees(world, app, String(list.userIdOf(item))))
  if (items.length === 0 && path === '/cgi-bin/externalcontact/get') throw new Refusal(40096, 'invalid external userid')
  return { ...reply, [list.field]: items }
}

function isBelow(world: World, departmentId: number, roots: readonly number[]): boolean {
  const parents = new Map(world.staff.departments.map((d) => [d.id, d.parentId]))
  for (let id: number | undefined = departmentId; id !== undefined && id !== 0; id = parents.get(id)) {
    if (roots.includes(id)) return true
  }
  return false
}

function ofField(item: unknown): unknown {
  return (item as { userid: string }).userid
}
