import { z } from 'zod'
import { ConflictError, NotFoundError } from '../../../src/errors.js'
import { parseInput } from '../../../src/parse.js'
import type { SandboxApp } from '../../identity.js'
import type { World } from '../../world/world.js'
import { buyQuota, deleteLink, linkCustomerWrites } from '../wecom/acquisition.js'
import { corpTags } from '../wecom/corp-tags.js'
import { scan } from '../wecom/scan.js'
import { issueCode } from '../wecom/sign-in.js'

type Route = (body: unknown) => Promise<{ json: unknown }>
type Parts = {
  world: World
  apps: readonly SandboxApp[]
  now: () => Date
  /** Sends the callbacks of what was just done. */
  act: () => Promise<void>
}

const Text = z.string().min(1)
const Person = z.strictObject({ id: Text, type: z.union([z.literal(1), z.literal(2)]).default(2), nickname: z.string().optional() }) // prettier-ignore
const Bodies = {
  scan: z.strictObject({
    configId: Text,
    externalUserId: Text,
    name: Text.optional(),
    unionId: Text.optional(),
    channel: z.string().max(64).optional(),
  }),
  visit: z.union([
    z.strictObject({ userId: Text, privateInfo: z.boolean().default(false), app: Text.optional() }),
    z.strictObject({ openId: Text, externalUserId: Text.optional(), app: Text.optional() }),
  ]),
  tags: z.discriminatedUnion('action', [
    z.strictObject({ action: z.literal('create'), group: Text.max(30), tags: z.array(Text.max(30)).min(1) }),
    z.strictObject({ action: z.literal('rename'), id: Text, name: Text.max(30) }),
    z.strictObject({ action: z.literal('delete'), id: Text }),
  ]),
  group: z.strictObject({ owner: Text, name: z.string(), members: z.array(Person).default([]) }),
  groupChange: z.strictObject({
    chatId: Text,
    name: z.string().optional(),
    notice: z.string().optional(),
    owner: Text.optional(),
    join: z.array(Person).optional(),
    leave: z.array(Text).optional(),
    dismiss: z.literal(true).optional(),
  }),
  member: z.strictObject({ userId: Text }),
  write: z.strictObject({ linkId: Text, externalUserId: Text }),
  quota: z.strictObject({ customers: z.int().min(1) }),
  link: z.strictObject({ linkId: Text }),
}

/** What customers, members and the administrator do about codes, groups, tags and staff. */
export function customerControls(parts: Parts): Record<string, Route> {
  const { world, now } = parts
  return {
    'POST /control/scan': (body) => done(parts, () => scan(world, parseInput(Bodies.scan, body), now())),
    'POST /control/sign-in': (body) => done(parts, () => signIn(parts, parseInput(Bodies.visit, body))),
    'POST /control/tags': (body) => done(parts, () => changeTags(world, parseInput(Bodies.tags, body), now())),
    'POST /control/groups': (body) =>
      done(parts, () => {
        const { owner, name, members } = parseInput(Bodies.group, body)
        const group = { owner: memberOf(world, owner), name, members: members.map(joining) }
        return { chatId: world.chats.create(group, now()) }
      }),
    'POST /control/groups/change': (body) =>
      done(parts, () =>
        unlessNothing('change', changeGroup(world, parseInput(Bodies.groupChange, body), now()).includes(true)),
      ),
    'POST /control/members/resign': (body) =>
      done(parts, () => {
        const { userId } = parseInput(Bodies.member, body)
        return unlessNothing('resign', world.resign(memberOf(world, userId), now()))
      }),
    'POST /control/links/write': (body) =>
      done(parts, () => {
        const { linkId, externalUserId } = parseInput(Bodies.write, body)
        return unlessNothing('write', linkCustomerWrites(world, linkId, externalUserId, now()))
      }),
    'POST /control/links/quota': (body) =>
      done(parts, () => {
        buyQuota(world, parseInput(Bodies.quota, body).customers, now())
        return { ok: true }
      }),
    'POST /control/links/delete': (body) =>
      done(parts, () => unlessNothing('delete', deleteLink(world, parseInput(Bodies.link, body).linkId, now()))),
  }
}

/** One human action; its callbacks are on their way when it is answered. */
async function done<T>({ world, act }: Parts, work: () => T): Promise<{ json: T }> {
  const json = world.write(work)
  await act()
  return { json }
}

function unlessNothing(what: string, happened: boolean): { ok: true } {
  if (!happened) throw new ConflictError(`${what}: nothing to do, it is not there or was done already`)
  return { ok: true }
}

function memberOf(world: World, userId: string): string {
  const found = world.member(userId)
  if (found === undefined) throw new NotFoundError(`no member "${userId}"`)
  return found.userId
}

function appOf({ apps }: Parts, name: string | undefined): SandboxApp {
  const app = name === undefined ? apps[0] : apps.find((a) => a.name === name)
  if (app === undefined) throw new NotFoundError(`no app "${name}" in the scenario`)
  return app
}

function signIn(parts: Parts, { app, ...visit }: z.infer<typeof Bodies.visit>): { code: string } {
  const visitor =
    'userId' in visit
      ? { userId: memberOf(parts.world, visit.userId), privateInfo: visit.privateInfo }
      : { openId: visit.openId, ...(visit.externalUserId && { externalUserId: visit.externalUserId }) }
  return { code: issueCode(parts.world, appOf(parts, app), visitor, parts.now()) }
}

/** @returns for each part of the change whether it did something */
function changeGroup(world: World, change: z.infer<typeof Bodies.groupChange>, at: Date): boolean[] {
  const { chatId, name, notice, owner, join, leave, dismiss } = change
  const { chats } = world
  return [
    name !== undefined && chats.rename(chatId, name, at),
    notice !== undefined && chats.setNotice(chatId, notice, at),
    owner !== undefined && chats.changeOwner(chatId, memberOf(world, owner), at),
    join !== undefined && chats.join(chatId, join.map(joining), at) > 0,
    leave !== undefined && chats.leave(chatId, leave, 0, at) > 0,
    dismiss === true && chats.dismiss(chatId, at),
  ]
}

/** In the admin pages, as opposed to the API: it calls back (page 92130). */
function changeTags(world: World, change: z.infer<typeof Bodies.tags>, at: Date): { ok: true; ids: string[] } {
  const tags = corpTags(world)
  const tell = (ChangeType: string, TagType: string, Id: string) =>
    world.raise(at, { Event: 'change_external_tag', Id, TagType, ChangeType })
  if (change.action === 'create') {
    const known = tags.groupNamed(change.group)
    const group = known ?? tags.addGroup(change.group, 0, at)
    if (known === undefined) tell('create', 'tag_group', group.group_id)
    const taken = new Set(tags.tagsIn(group.group_id).map((t) => t.name))
    const added = change.tags.filter((name) => !taken.has(name)).map((name) => tags.addTag(group, name, 0, at))
    for (const tag of added) tell('create', 'tag', tag.tag_id)
    return { ok: true, ids: added.map((tag) => tag.tag_id) }
  }
  const tag = tags.tag(change.id)
  if (tag === undefined && tags.group(change.id) === undefined)
    throw new NotFoundError(`no tag or group "${change.id}"`)
  if (change.action === 'rename') tags.edit(change.id, { name: change.name })
  else if (tag === undefined) for (const one of tags.tagsIn(change.id)) tags.delete(one)
  else tags.delete(tag)
  // A group takes its tags along without a word about each.
  tell(change.action === 'rename' ? 'update' : 'delete', tag === undefined ? 'tag_group' : 'tag', change.id)
  return { ok: true, ids: [change.id] }
}

function joining({ id, type, nickname }: z.infer<typeof Person>): { id: string; type: 1 | 2; nickname?: string } {
  return { id, type, ...(nickname !== undefined && { nickname }) }
}
