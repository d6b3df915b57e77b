import { z } from 'zod'
import { hashKey } from '../../../../src/random.js'
import type { World } from '../../../world/world.js'
import { type Call, type Endpoints, OptionalText, read, Refusal, type Reply } from '../../core/endpoint.js'
import { checkMedia } from '../media.js'
import { departmentMembers } from '../recipients.js'
import { AccountId, accountOf, KF_PATH, openKf } from './store.js'

/** Pages 94662, 94646. */
const MAX_NAME_CHARS = 16
const MAX_SERVICERS_PER_CALL = 100
const MAX_DEPARTMENTS_PER_CALL = 20

const Servicers = z.object({
  ...AccountId,
  userid_list: z.array(z.string()).max(MAX_SERVICERS_PER_CALL).default([]),
  department_id_list: z.array(z.int()).max(MAX_DEPARTMENTS_PER_CALL).default([]),
})
const Naming = z.object({ ...AccountId, name: OptionalText, media_id: OptionalText })

/** Accounts of customer service, their links, and who serves. */
export function kfAccountEndpoints(world: World): Endpoints {
  return {
    [`${KF_PATH}/account/add`]: { writes: true, handle: (call) => addAccount(world, call) },
    [`${KF_PATH}/account/del`]: { writes: true, handle: (call) => delAccount(world, call) },
    [`${KF_PATH}/account/update`]: { writes: true, handle: (call) => updateAccount(world, call) },
    [`${KF_PATH}/account/list`]: { empty: { account_list: [] }, handle: (call) => listAccount(world, call) },
    [`${KF_PATH}/add_contact_way`]: { handle: (call) => addContactWay(world, call) },
    [`${KF_PATH}/servicer/add`]: { writes: true, handle: ({ params }) => changeServicers(world, params, 'add') },
    [`${KF_PATH}/servicer/del`]: { writes: true, handle: ({ params }) => changeServicers(world, params, 'del') },
    [`${KF_PATH}/servicer/list`]: { empty: { servicer_list: [] }, handle: (call) => listServicer(world, call) },
  }
}

function addAccount(world: World, { params, now }: Call): Reply {
  const kf = openKf(world)
  const { name, media_id: mediaId } = read(Naming, params)
  checkMedia(world, mediaId ?? '', now, 'image')
  const id = kf.accounts.newId('wk', 30)
  kf.accounts.put(id, { name: nameOf(name), mediaId: mediaId!, users: [], departments: [] })
  return { open_kfid: id }
}

function delAccount(world: World, { params }: Call): Reply {
  const kf = openKf(world)
  kf.accounts.delete(accountOf(kf, read(z.object(AccountId), params).open_kfid).id)
  return {}
}

function updateAccount(world: World, { params, now }: Call): Reply {
  const kf = openKf(world)
  const { open_kfid, name, media_id: mediaId } = read(Naming, params)
  const { id, account } = accountOf(kf, open_kfid)
  if (mediaId !== undefined) checkMedia(world, mediaId, now, 'image')
  kf.accounts.put(id, {
    ...account,
    name: name === undefined ? account.name : nameOf(name),
    mediaId: mediaId ?? account.mediaId,
  })
  return {}
}

function listAccount(world: World, { params }: Call): Reply {
  const kf = openKf(world)
  const Body = z.object({ offset: z.int().min(0).default(0), limit: z.int().min(1).max(100).default(100) })
  const { offset, limit } = read(Body, params)
  const page = kf.accounts.list().slice(offset, offset + limit)
  return {
    account_list: page.map(({ id, body }) => ({
      open_kfid: id,
      name: body.name,
      avatar: `https://wework.qpic.cn/sandbox/${body.mediaId}/0`,
      manage_privilege: true,
    })),
  }
}

function addContactWay(world: World, { params }: Call): Reply {
  const kf = openKf(world)
  const { open_kfid, scene } = read(z.object({ ...AccountId, scene: OptionalText }), params)
  const { id } = accountOf(kf, open_kfid)
  if (scene !== undefined && !/^[0-9a-zA-Z_-]{1,32}$/.test(scene))
    throw new Refusal(40058, 'scene invalid. invalid Request Parameter')
  const extra = scene === undefined ? '' : `?enc_scene=${scene}`
  return { url: `https://work.weixin.qq.com/kfid/kfc${hashKey(14, world.seed, 'kf-link', id)}${extra}` }
}

function listServicer(world: World, { params }: Call): Reply {
  const kf = openKf(world)
  const { account } = accountOf(kf, read(z.object(AccountId), params).open_kfid)
  return {
    servicer_list: [
      ...account.users.map((userid) => ({ userid, status: 0 })),
      ...account.departments.map((department_id) => ({ department_id })),
    ],
  }
}

function changeServicers(world: World, params: Record<string, unknown>, what: 'add' | 'del'): Record<string, unknown> {
  const kf = openKf(world)
  const { open_kfid, userid_list: userIds, department_id_list: departmentIds } = read(Servicers, params)
  const { id, account } = accountOf(kf, open_kfid)
  if (userIds.length + departmentIds.length === 0)
    throw new Refusal(40058, 'userid_list and department_id_list unexpected empty. invalid Request Parameter')
  const users = new Set(account.users)
  const departments = new Set(account.departments)
  const ok = { errcode: 0, errmsg: 'success' }
  const result_list = [
    ...userIds.map((userid) => {
      const member = world.member(userid)
      if (member === undefined) return { userid, errcode: 60111, errmsg: 'userid not found' }
      if (what === 'add') users.add(member.userId)
      else if (!users.delete(member.userId)) return { userid, errcode: 95014, errmsg: 'user is not a servicer' }
      return { userid, ...ok }
    }),
    ...departmentIds.map((department_id) => {
      if (departmentMembers(world, department_id) === undefined)
        return { department_id, errcode: 60123, errmsg: 'invalid department id' }
      if (what === 'add') departments.add(department_id)
      else if (!departments.delete(department_id))
        return { department_id, errcode: 95014, errmsg: 'department is not a servicer' }
      return { department_id, ...ok }
    }),
  ]
  kf.accounts.put(id, { ...account, users: [...users], departments: [...departments] })
  return { result_list }
}

function nameOf(name: string | undefined): string {
  if (name === undefined || [...name].length > MAX_NAME_CHARS) throw new Refusal(95006, 'invalid kf account name')
  return name
}
