import type { CallbackReader } from '../adapters/wecom/transport/callback.js'
import type { Config } from '../config.js'
import type { RawRoute } from '../http/raw-routes.js'
import { adminRouter } from '../http/routes/admin.js'
import { recordsRouter } from '../http/routes/records.js'
import { wecomCallbackRoutes } from '../http/routes/wecom-callback.js'
import { createGuideSessions } from '../http/guide-session.js'
import { sidebarRouter } from '../http/routes/sidebar.js'
import type { Log } from '../log.js'
import type { WecomSignIn } from '../ports/wecom-sign-in.js'
import { takeRecords } from '../services/ingest/take-records.js'
import type { ServiceDeps } from '../services/runtime/deps.js'
import type { OperationDeps } from '../services/runtime/operations.js'
import { runOperation } from '../services/runtime/run-operation.js'
import { createCallbackIntake } from '../services/wecom/accept-callbacks.js'

/** What routes need of the app. */
type Served = {
  readonly operations: OperationDeps
  readonly publicRoutes: readonly ReturnType<typeof sidebarRouter>[]
  readonly callbackRoutes: readonly RawRoute[]
}

/** Every route that is served beside health and metrics. */
export function httpRoutes(app: Served, log: Log) {
  return {
    routes: [
      // Where records come in from shops and imports.
      recordsRouter({ take: (records, key) => takeRecords(app.operations.deps, records, key) }),
      adminRouter(app.operations, log),
    ],
    publicRoutes: app.publicRoutes,
    rawRoutes: app.callbackRoutes,
  }
}

/** A guide's page needs an address that her WeCom can open. */
export function sidebarRoutes({ wecom }: Config, operations: OperationDeps, signIn: WecomSignIn | undefined) {
  if (wecom?.sidebar === undefined || signIn === undefined) return []
  const { deps } = operations
  return [
    sidebarRouter({
      deps,
      signIn,
      sessions: createGuideSessions(wecom.secret, deps.clock),
      publicUrl: wecom.sidebar.url,
      closeTask: (guide, task, outcome) =>
        runOperation(operations, `guide:${guide}`, 'tasks/close', { guide, task, outcome }),
    }),
  ]
}

/** Where WeCom tells what happened; it signs what it says. */
export function callbackRoutes(deps: ServiceDeps, callback: CallbackReader): RawRoute[] {
  const intake = createCallbackIntake(deps)
  return wecomCallbackRoutes({
    verify: (query) => callback.verifyUrl(query),
    accept: (query, body) => {
      const { contentKey, message } = callback.open(query, body)
      return intake.accept(contentKey, message)
    },
  })
}
