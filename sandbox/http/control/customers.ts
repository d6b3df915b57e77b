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
export function customerControls({ world, apps, now, act }: Parts): Record<string, Route> {
  /** One human action; its callbacks are on their way when it is answered. */
  const done = async <T>(work: () => T): Promise<{ json: T }> => {
    const json = world.write(work)
    await act()
    return { json }
  }
  const unlessNothing = (what: string, happened: boolean): { ok: true } => {
    if (!happened) throw new ConflictError(`${what}: nothing to do, it is not there or was done already`)
    return { ok: true }
  }
  const member = (userId: string): string => {
    const found = world.member(userId)
    if (found === undefined) throw new NotFoundError(`no member "${userId}"`)
    return found.userId
  }
  const appOf = (name: string | undefined): SandboxApp => {
    const app = name === undefined ? apps[0] : apps.find((a) => a.name === name)
    if (app === undefined) throw new NotFoundError(`no app "${name}" in the scenario`)
    return app
  }
  return {
    'POST /control/scan': (body) => done(() => scan(world, parseInput(Bodies.scan, body), now())),
    'POST /control/sign-in': (body) =>
      done(() => {
        const { app, ...visit } = parseInput(Bodies.visit, body)
        const visitor =
          'userId' in visit
            ? { userId: member(visit.userId), privateInfo: visit.privateInfo }
            : { openId: visit.openId, ...(visit.externalUserId && { externalUserId: visit.externalUserId }) }
        return { code: issueCode(world, appOf(app), visitor, now()) }
      }),
    'POST /control/tags': (body) => done(() => changeTags(parseInput(Bodies.tags, body))),
    'POST /control/groups': (body) =>
      done(() => {
        const { owner, name, members } = parseInput(Bodies.group, body)
        return { chatId: world.chats.create({ owner: member(owner), name, members: members.map(joining) }, now()) }
      }),
    'POST /control/groups/change': (body) =>
      done(() => {
        const { chatId, name, notice, owner, join, leave, dismiss } = parseInput(Bodies.groupChange, body)
        const { chats } = world
        const happened = [
          name !== undefined && chats.rename(chatId, name, now()),
          notice !== undefined && chats.setNotice(chatId, notice, now()),
          owner !== undefined && chats.changeOwner(chatId, member(owner), now()),
          join !== undefined && chats.join(chatId, join.map(joining), now()) > 0,
          leave !== undefined && chats.leave(chatId, leave, 0, now()) > 0,
          dismiss === true && chats.dismiss(chatId, now()),
        ]
        return unlessNothing('change', happened.includes(true))
      }),
    'POST /control/members/resign': (body) =>
      done(() => unlessNothing('resign', world.resign(member(parseInput(Bodies.member, body).userId), now()))),
    'POST /control/links/write': (body) =>
      done(() => {
        const { linkId, externalUserId } = parseInput(Bodies.write, body)
        return unlessNothing('write', linkCustomerWrites(world, linkId, externalUserId, now()))
      }),
    'POST /control/links/quota': (body) =>
      done(() => {
        buyQuota(world, parseInput(Bodies.quota, body).customers, now())
        return { ok: true }
      }),
    'POST /control/links/delete': (body) =>
      done(() => unlessNothing('delete', deleteLink(world, parseInput(Bodies.link, body).linkId, now()))),
  }

  /** In the admin pages, as opposed to the API: it calls back (page 92130). */
  function changeTags(change: z.infer<typeof Bodies.tags>): { ok: true; ids: string[] } {
    const tags = corpTags(world)
    const at = now()
    const tell = (ChangeType: string, TagType: string, Id: string) =>
      world.raise(at, {
        Event: 'change_external_tag',
        Id,
        TagType,
        ChangeType,
      })
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
}

function joining({ id, type, nickname }: z.infer<typeof Person>): { id: string; type: 1 | 2; nickname?: string } {
  return { id, type, ...(nickname !== undefined && { nickname }) }
}
