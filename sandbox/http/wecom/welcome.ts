import { z } from 'zod'
import { SECOND_MS } from '../../../src/time.js'
import type { App } from '../../identity.js'
import { type Objects, openObjects } from '../../objects.js'
import { contentHashOf } from '../../world/messages.js'
import type { World } from '../../world/world.js'
import { type AttachmentKind, checkAttachment, ContentBody, readContent } from './content.js'
import { type Call, checkBytes, type Endpoints, OptionalText, read, Refusal, type Reply } from '../core/endpoint.js'

/** Page 92366: what a template may hold besides its text; of several the first in this order counts. */
const KINDS: readonly AttachmentKind[] = ['image', 'link', 'miniprogram', 'file', 'video']
const MAX_TEMPLATES = 100
/** The two pages differ. */
const MAX_TEXT_BYTES = { add: 3_000, edit: 4_000 }

/** How long a welcome takes; not known, so short. */
const UNDER_WAY_MS = SECOND_MS

type CodeRow = {
  user_id: string
  external_user_id: string
  expires_ms: number
  used_ms: number | null
  used_by: number | null
}
type Template = { agentId: number; text?: { content: string } } & { [K in AttachmentKind]?: unknown }
const TemplateBody = z
  .object({
    template_id: OptionalText,
    text: z.object({ content: OptionalText }).nullish(),
    notify: z.int().optional(),
  })
  .loose()

const PATH = '/cgi-bin/externalcontact/group_welcome_template'

/** Welcome messages to new customers (page 92137) and the material for groups' welcomes (page 92366). */
export function welcomeEndpoints(world: World): Endpoints {
  return {
    '/cgi-bin/externalcontact/send_welcome_msg': { writes: true, handle: (call) => sendWelcomeMsg(world, call) },
    [`${PATH}/add`]: { writes: true, handle: (call) => addTemplate(world, call) },
    [`${PATH}/edit`]: { writes: true, handle: (call) => editTemplate(world, call) },
    [`${PATH}/get`]: { handle: (call) => getTemplate(world, call) },
    [`${PATH}/del`]: { writes: true, handle: (call) => deleteTemplate(world, call) },
  }
}

function templatesOf({ state, seed }: World): Objects<Template> {
  return openObjects<Template>(state, seed, 'group_welcome_template')
}

function sendWelcomeMsg(world: World, { params, app, now }: Call): Reply {
  const Body = z.object({ welcome_code: OptionalText, ...ContentBody })
  const { welcome_code: code, text, attachments } = read(Body, params)
  if (code === undefined) throw new Refusal(41049, 'missing welcome_code')
  const content = readContent(world, text, attachments, now)
  const row = world.state.get<CodeRow>('SELECT * FROM welcome_code WHERE code = ?', code)
  if (row === undefined || now.getTime() > row.expires_ms) throw new Refusal(41050, 'invalid welcome_code')
  if (row.used_ms !== null) {
    // Every app has the code; whoever comes while another's message is on its way is told so.
    const isUnderWay = row.used_by !== app.agentId && now.getTime() < row.used_ms + UNDER_WAY_MS
    throw isUnderWay ? new Refusal(41096, 'welcome msg is being sent') : new Refusal(41051, 'chat already started')
  }
  world.state.run('UPDATE welcome_code SET used_ms = ?, used_by = ? WHERE code = ?', now.getTime(), app.agentId, code)
  const contentHash = contentHashOf(content.text, content.link?.url)
  const target = { userId: row.user_id, externalUserId: row.external_user_id }
  world.sending.deliver(
    { kind: 'welcome', msgid: code, ...target, content, contentHash, createdMs: now.getTime() },
    now,
  )
  return {}
}

function addTemplate(world: World, { params, app, now }: Call): Reply {
  const templates = templatesOf(world)
  const template = readTemplate(world, params, now, MAX_TEXT_BYTES.add, app)
  if (templates.count() >= MAX_TEMPLATES) throw new Refusal(41055, 'group welcome template count out of limit')
  const id = templates.newId('msg', 29)
  templates.put(id, template)
  return { template_id: id }
}

function editTemplate(world: World, { params, app, now }: Call): Reply {
  const templates = templatesOf(world)
  const id = ownTemplate(world, params, app)
  templates.put(id, readTemplate(world, params, now, MAX_TEXT_BYTES.edit, app))
  return {}
}

function getTemplate(world: World, { params }: Call): Reply {
  const { template } = templateOf(world, params)
  const { text, image, link, miniprogram, file, video } = template
  return { text, image, link, miniprogram, file, video }
}

function deleteTemplate(world: World, { params, app }: Call): Reply {
  const templates = templatesOf(world)
  templates.delete(ownTemplate(world, params, app))
  return {}
}

function readTemplate(
  world: World,
  params: Record<string, unknown>,
  now: Date,
  maxTextBytes: number,
  app: App,
): Template {
  const { text, ...rest } = read(TemplateBody, params)
  const content = text?.content ?? ''
  checkBytes('text.content', content, maxTextBytes)
  const kind = KINDS.find((k) => rest[k] !== undefined && rest[k] !== null)
  if (content === '' && kind === undefined)
    throw new Refusal(40058, 'text and media unexpected empty. invalid Request Parameter')
  if (kind !== undefined) checkAttachment(world, kind, rest[kind], now)
  return {
    agentId: app.agentId,
    ...(content === '' ? {} : { text: { content } }),
    ...(kind === undefined ? {} : { [kind]: rest[kind] }),
  }
}

function templateOf(world: World, params: Record<string, unknown>): { id: string; template: Template } {
  const templates = templatesOf(world)
  const { template_id: id } = read(TemplateBody, params)
  const template = id === undefined ? undefined : templates.get(id)
  if (id === undefined || template === undefined)
    throw new Refusal(40058, 'template_id invalid. invalid Request Parameter')
  return { id, template }
}

/** Only the app that made it may change it. */
function ownTemplate(world: World, params: Record<string, unknown>, app: App): string {
  const { id, template } = templateOf(world, params)
  if (template.agentId !== app.agentId) throw new Refusal(41058, 'no permission to operate the group welcome template')
  return id
}
