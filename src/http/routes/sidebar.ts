import Router from '@koa/router'
import type { Context } from 'koa'
import { z } from 'zod'
import { said } from '../../said.js'
import { InvalidInputError } from '../../errors.js'
import { parseInput } from '../../parse.js'
import type { WecomSignIn } from '../../ports/wecom-sign-in.js'
import { secretHex } from '../../random.js'
import type { Deps } from '../../services/runtime/deps.js'
import { customerCard, guideTasks, materials, TaskOutcome } from '../../services/guides/guide-sidebar.js'
import { isSignedOut } from '../../services/guides/sign-out.js'
import { MINUTE_MS } from '../../time.js'
import { HttpError } from '../error-middleware.js'
import { type GuideSessions, SESSION_MS } from '../guide-session.js'

export type SidebarParts = {
  deps: Deps
  signIn: WecomSignIn
  sessions: GuideSessions
  /** Where guides' WeCom reaches this service: the app's trusted domain, e.g. https://siyu.example.com */
  publicUrl: string
  /** Closes a task for the guide who is signed in. @throws {NotFoundError} when it is not hers */
  closeTask: (guideUserId: string, taskId: string, outcome: string) => Promise<unknown>
}

const SESSION = 'siyu_guide'
const STATE = 'siyu_sign_in'
/** A page of ours: never another host's. */
const Page = z
  .string()
  .regex(/^\/(?![/\\])/, said('要写本服务的路径，如 /sidebar', 'must be a path of this service, e.g. /sidebar'))
  .default('/sidebar')

/**
 * What the page beside a chat in WeCom (聊天工具栏) is served with: sign-in, signatures, the customer's card, tasks, materials.
 * A guide sees her customers only. `GET /sidebar/sign-in?to=` → WeCom → `GET /sidebar/signed-in` sets the session; all else
 * answers 401 without one.
 *
 * @see 网页授权登录, developer.work.weixin.qq.com/document/path/91022; JS-SDK 签名, path/90506 (read 2026-08)
 */
export function sidebarRouter({ deps, signIn, sessions, publicUrl, closeTask }: SidebarParts): Router {
  const router = new Router({ prefix: '/sidebar' })
  const base = publicUrl.replace(/\/+$/, '')
  const cookie = (maxAgeMs: number) => ({
    maxAge: maxAgeMs,
    httpOnly: true,
    sameSite: 'lax' as const,
    path: '/sidebar',
    overwrite: true,
    // The proxy in front ends TLS: what counts is what the browser sees.
    secure: base.startsWith('https:'),
  })
  const set = (ctx: Context, name: string, value: string, maxAgeMs: number): void => {
    ctx.cookies.secure = base.startsWith('https:')
    ctx.cookies.set(name, value, cookie(maxAgeMs))
  }
  const guideOf = async (ctx: Context): Promise<string> => {
    const session = sessions.open(ctx.cookies.get(SESSION))
    if (session === undefined || (await isSignedOut(deps, session)))
      throw new HttpError(401, 'sign_in', '请先登录 · sign in first: open /sidebar/sign-in inside WeCom')
    ctx.set('Cache-Control', 'no-store')
    return session.userId
  }

  router.get('/sign-in', (ctx) => {
    const { to } = parseInput(z.object({ to: Page }), ctx.query, 'Sign-in')
    const state = secretHex(16)
    set(ctx, STATE, `${state}.${Buffer.from(to).toString('base64url')}`, 5 * MINUTE_MS)
    ctx.redirect(signIn.authorizeUrl(`${base}/sidebar/signed-in`, state))
  })

  router.get('/signed-in', async (ctx) => {
    const { code, state } = parseInput(z.object({ code: z.string(), state: z.string() }), ctx.query, 'Sign-in')
    const [expected, to] = (ctx.cookies.get(STATE) ?? '').split('.')
    if (expected === undefined || expected === '' || expected !== state)
      throw new HttpError(401, 'sign_in', '登录已过期，请重新打开 · this sign-in has expired: open the page again')
    set(ctx, STATE, '', 0)
    const userId = await signIn.memberOf(code)
    if (userId === undefined)
      throw new HttpError(403, 'not_a_member', '只有企业成员可以登录 · only members of the company may sign in')
    set(ctx, SESSION, sessions.seal(userId), SESSION_MS)
    ctx.redirect(parseInput(Page, Buffer.from(to ?? '', 'base64url').toString('utf8') || undefined, 'Sign-in'))
  })

  router.get('/signatures', async (ctx) => {
    await guideOf(ctx)
    const { url } = parseInput(z.object({ url: z.url() }), ctx.query, 'Signatures')
    // Signing another site's page would lend it our rights.
    if (new URL(url).origin !== new URL(base).origin)
      throw new InvalidInputError(said('签名', 'Signatures'), [
        { path: 'url', message: said(`要写 ${base} 的页面`, `must be a page of ${base}`) },
      ])
    const pageUrl = url.split('#', 1)[0]!
    const [config, agentConfig] = await Promise.all([
      signIn.signature('corp', pageUrl),
      signIn.signature('agent', pageUrl),
    ])
    ctx.body = { corpId: signIn.corpId, agentId: signIn.agentId, config, agentConfig }
  })

  router.get('/customers/:externalUserId', async (ctx) => {
    ctx.body = await customerCard(deps, await guideOf(ctx), ctx.params['externalUserId']!)
  })
  router.get('/tasks', async (ctx) => {
    ctx.body = { tasks: await guideTasks(deps, await guideOf(ctx)) }
  })
  router.post('/tasks/:taskId/close', async (ctx) => {
    const guide = await guideOf(ctx)
    const { key } = parseInput(TaskOutcome, readJson(ctx), 'Task outcome')
    await closeTask(guide, ctx.params['taskId']!, key)
    ctx.body = { ok: true }
  })
  router.get('/materials', async (ctx) => {
    await guideOf(ctx)
    const { q } = parseInput(z.object({ q: z.string().max(100).default('') }), ctx.query, 'Materials')
    ctx.body = { materials: await materials(deps, q) }
  })
  return router
}

/** Only JSON: a form of another site cannot send it. */
function readJson(ctx: Context): unknown {
  if (!ctx.is('json')) throw new HttpError(415, 'unsupported_type', 'send the outcome as JSON')
  try {
    return JSON.parse(ctx.request.rawBody ?? '')
  } catch (err) {
    throw new InvalidInputError(
      said('任务结果', 'Task outcome'),
      [{ path: 'body', message: said('不是 JSON', 'is not JSON') }],
      { cause: err },
    )
  }
}
