import { z } from 'zod'
import type { World } from '../../../world/world.js'
import { type Call, type Endpoints, OptionalText, read, Refusal, type Reply } from '../../core/endpoint.js'
import { departmentMembers } from '../recipients.js'
import { type Account, AccountId, KF_PATH, openKf, SEND_WINDOW_MS, type ServiceState, sessionOf } from './store.js'

/** Page 95159. */
const MAX_CUSTOMERS_PER_CALL = 100

const CHANGES: Record<ServiceState, readonly ServiceState[]> = {
  0: [1, 2, 3, 4],
  1: [2, 3, 4],
  2: [3, 4],
  3: [2, 3, 4],
  4: [],
}

const Pair = { ...AccountId, external_userid: OptionalText }

/** States of sessions, and who the customers are. */
export function kfSessionEndpoints(world: World): Endpoints {
  return {
    [`${KF_PATH}/service_state/get`]: { handle: (call) => getServiceState(world, call) },
    [`${KF_PATH}/service_state/trans`]: { writes: true, handle: (call) => transServiceState(world, call) },
    [`${KF_PATH}/customer/batchget`]: {
      empty: { customer_list: [], invalid_external_userid: [] },
      handle: (call) => batchget(world, call),
    },
  }
}

function getServiceState(world: World, { params }: Call): Reply {
  const kf = openKf(world)
  const { open_kfid, external_userid } = read(z.object(Pair), params)
  const { session } = sessionOf(kf, open_kfid, external_userid)
  return {
    service_state: session.state,
    ...(session.servicer === undefined ? {} : { servicer_userid: session.servicer }),
  }
}

function transServiceState(world: World, { params, now }: Call): Reply {
  const kf = openKf(world)
  const Body = z.object({ ...Pair, service_state: z.int().min(0).max(4), servicer_userid: OptionalText })
  const { open_kfid, external_userid, service_state, servicer_userid } = read(Body, params)
  const { key, session, account } = sessionOf(kf, open_kfid, external_userid)
  const next = service_state as ServiceState
  if (session.state === 4) throw new Refusal(95013, 'session has ended')
  if (!CHANGES[session.state].includes(next)) throw new Refusal(95016, 'state change not allowed')
  const servicer = next === 3 ? servicerOf(world, account, servicer_userid) : undefined
  const { servicer: _before, ...rest } = session
  kf.sessions.put(key, { ...rest, state: next, ...(servicer === undefined ? {} : { servicer }) })
  return next === 1 ? {} : { msg_code: newCode(world, key, now.getTime() + SEND_WINDOW_MS) }
}

function batchget(world: World, { params }: Call): Reply {
  const kf = openKf(world)
  const Body = z.object({
    external_userid_list: z.array(z.string()).min(1).max(MAX_CUSTOMERS_PER_CALL),
    need_enter_session_context: z.int().min(0).max(1).default(0),
  })
  const { external_userid_list: ids, need_enter_session_context } = read(Body, params)
  const known = ids.filter((id) => kf.visitors.get(id) !== undefined)
  return {
    customer_list: known.map((id) => {
      const { nickname, unionId } = kf.visitors.get(id)!
      const last = kf.sessions
        .list()
        .filter(({ body }) => body.externalUserId === id)
        .at(-1)
      const context = need_enter_session_context === 1 && last !== undefined
      return {
        external_userid: id,
        nickname,
        avatar: '',
        gender: genderOf(world, id),
        ...(unionId === undefined ? {} : { unionid: unionId }),
        ...(context ? { enter_session_context: { scene: last.body.scene, scene_param: '' } } : {}),
      }
    }),
    invalid_external_userid: ids.filter((id) => !known.includes(id)),
  }
}

function servicerOf(world: World, account: Account, userId: string | undefined): string {
  const member = userId === undefined ? undefined : world.member(userId)
  const serves =
    member !== undefined &&
    (account.users.includes(member.userId) ||
      account.departments.some((id) => departmentMembers(world, id)?.includes(member.userId)))
  if (!serves) throw new Refusal(95014, 'user is not a servicer')
  return member.userId
}

function newCode(world: World, session: string, expiresMs: number): string {
  const kf = openKf(world)
  const id = kf.codes.newId('', 32)
  kf.codes.put(id, { session, expiresMs, used: false })
  return id
}

function genderOf(world: World, externalUserId: string): number {
  const row = world.state.get<{ gender: number }>(
    'SELECT gender FROM contact WHERE external_user_id = ?',
    externalUserId,
  )
  return row?.gender ?? 0
}
