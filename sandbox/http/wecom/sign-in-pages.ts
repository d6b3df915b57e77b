import { forHtml } from '../../../src/escape.js'
import type { SandboxApp } from '../../identity.js'
import type { World } from '../../world/world.js'
import type { Neighbour, NeighbourRequest } from '../core/endpoint.js'
import { issueCode } from './sign-in.js'

type Answer = ReturnType<Neighbour['answer']>

/** Pages 91022 (inside WeCom) and 98152 (a browser on a desk), which stand on hosts of their own. */
const PATHS = new Set(['/connect/oauth2/authorize', '/wwlogin/sso/login'])

/**
 * Where people say who they are: a list of the members to choose from, which leads back to the app's page with a code.
 * `&userid=…` chooses at once, for programs.
 */
export function signInPages(world: World): Neighbour {
  return {
    matches: (path) => PATHS.has(path),
    answer({ query, url, now }: NeighbourRequest): Answer {
      const { corpId, apps } = world.identity
      const app = apps.find((a) => String(a.agentId) === query.get('agentid'))
      const redirect = query.get('redirect_uri') ?? ''
      if (query.get('appid') !== corpId || app === undefined || !URL.canParse(redirect))
        return html(400, '<p>appid、agentid 或 redirect_uri 不对 · appid, agentid or redirect_uri is wrong</p>')
      const member = world.member(query.get('userid') ?? '')
      if (member !== undefined) return back(app, member.userId, redirect, query, now)
      const links = world.staff.employed.map(
        (m) =>
          `<li><a href="${forHtml(url)}&amp;userid=${encodeURIComponent(m.userId)}">${forHtml(m.name)}</a> ${forHtml(m.userId)}</li>`,
      )
      return html(200, `<h1>谁在登录 · Who is signing in</h1><ul>${links.join('')}</ul>`)
    },
  }

  function back(app: SandboxApp, userId: string, redirect: string, query: URLSearchParams, now: Date): Answer {
    const privateInfo = query.get('scope') === 'snsapi_privateinfo'
    const code = world.write(() => issueCode(world, app, { userId, privateInfo }, now))
    const target = new URL(redirect)
    target.searchParams.set('code', code)
    target.searchParams.set('state', query.get('state') ?? '')
    return { status: 302, headers: { location: target.href }, body: Buffer.alloc(0) }
  }
}

function html(status: number, body: string): Answer {
  const page = `<!doctype html><meta charset="utf-8"><title>登录 · Sign in</title>${body}`
  return { status, headers: { 'content-type': 'text/html; charset=utf-8' }, body: Buffer.from(page) }
}
