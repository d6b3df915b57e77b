import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Router from '@koa/router'
import type { Middleware } from 'koa'
import { packageRoot } from '../src/package-root.js'
import type { DemoStatus } from './demo-status.js'
import type { Locale } from './names.js'

export type DemoRoutesDeps = {
  status: () => DemoStatus
  /** The finished report as HTML; `undefined` while the demo works. */
  report: () => string | undefined
  /** Lets a request with the service's key through, refuses any other. Guards the figures; the page itself holds none. */
  requireKey: Middleware
  /** Of the page. */
  lang: Locale
}

// The page talks to its own server only. The report opens from a blob and inherits this.
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'unsafe-inline'",
  "style-src 'unsafe-inline'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/**
 * `GET /demo`: the page to watch the demo by; takes the key from `#key=` (never sent in a URL) and sends it as
 * `Authorization: Bearer`. `GET /demo/status`: {@link DemoStatus} as JSON. `GET /demo/report`: the report, 404 before the end.
 */
export function createDemoRoutes({ status, report, requireKey, lang }: DemoRoutesDeps): Router {
  // Both languages are in it; the attribute says which is shown.
  const page = readFileSync(join(packageRoot(), 'console', 'demo.html'), 'utf8').replace('lang="zh"', `lang="${lang}"`)
  const router = new Router({ prefix: '/demo' })
  router.get('/', (ctx) => {
    ctx.set({ 'Content-Security-Policy': PAGE_POLICY, 'Referrer-Policy': 'no-referrer', 'Cache-Control': 'no-cache' })
    ctx.type = 'html'
    ctx.body = page
  })
  router.get('/status', requireKey, (ctx) => {
    ctx.set('Cache-Control', 'no-store')
    ctx.body = status()
  })
  router.get('/report', requireKey, (ctx) => {
    ctx.set('Cache-Control', 'no-store')
    const html = report()
    if (html === undefined) {
      ctx.status = 404
      ctx.body = {
        error: { code: 'not_found', message: 'The report is written when the demo has ended; ask again later.' },
      }
      return
    }
    ctx.type = 'html'
    ctx.body = html
  })
  return router
}
