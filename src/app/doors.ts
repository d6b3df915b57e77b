import type { OperationName } from '../services/runtime/operations.js'

/** What is not in the table of operations, and why. */
type Outside = { why: string }

/** Every command of the command line: the operations it runs, or why it runs none. */
export const COMMANDS: Readonly<Record<string, readonly OperationName[] | Outside>> = {
  demo: { why: 'plays on stores of its own' },
  serve: {
    why: 'is the service; whoever may start it holds the machine. What it makes live when it starts is an operation',
  },
  check: { why: 'reads files and opens no store' },
  init: { why: 'writes files that are not there yet and opens no store' },
  try: { why: 'plays on stores of its own, which are gone afterwards' },
  doctor: { why: 'reads settings, asks the platform and a running service; changes nothing and shows nobody' },
  publish: ['publish'],
  import: { why: 'ingest: its batches are in the inbox, each under a key made from its file' },
  status: ['status'],
  people: ['people'],
  person: ['person', 'person/export'],
  path: ['person/path'],
  'ingest rejected': ['ingest/rejected'],
  'ingest replay': ['ingest/rejected', 'ingest/replay'],
  'tags list': ['tags'],
  'tags refresh': ['tags/refresh'],
  'tags explain': ['tags/explain'],
  'journeys explain': ['journeys/explain'],
  'segments list': ['segments'],
  'segments who': ['segments/who'],
  'segments explain': ['segments/explain'],
  'wecom sync': ['wecom/known', 'wecom/sync', 'inbox'],
  'wecom plan': ['wecom/plan'],
  'wecom apply': ['wecom/apply'],
  'wecom transfer': ['wecom/transfer'],
  'wecom transfers': ['wecom/transfers'],
  'wecom sign-out': ['guides/sign-out'],
  'wecom stats': ['wecom/stats'],
  'send stop': ['sending'],
  'send resume': ['sending'],
  'send status': ['sending'],
  why: ['why'],
  backup: ['backup', 'backup/list'],
  restore: {
    why: 'fills empty stores, which no service has open; whoever may do that holds the machine. The result is on record',
  },
  audit: ['audit/list', 'audit/verify'],
  sandbox: { why: 'a WeCom of its own, without anybody real' },
  schemas: { why: 'writes generated files of the source tree' },
}

const SIDEBAR_READ = {
  why: 'a guide looks at her own customer, whom she has in her chat; the session says who she is',
}

/** Every route but `POST /v1/<operation>`: the operation it runs, or why it runs none. */
export const ROUTES: Readonly<Record<string, OperationName | Outside>> = {
  'GET /healthz': { why: 'says that the process answers' },
  'GET /readyz': { why: 'says which stores answer' },
  'GET /service/proof': { why: 'shows a command that the service is the one which wrote service.json' },
  'GET /metrics': { why: 'figures of the process' },
  'POST /v1/records': { why: 'ingest: its batches are in the inbox' },
  'GET /v1/profiles': 'profiles',
  'GET /v1/profiles/:id': 'profiles/get',
  'GET /wecom/callback': { why: 'the platform checks the address' },
  'POST /wecom/callback': { why: 'ingest: what the platform tells is kept as it came' },
  'GET /sidebar/sign-in': { why: 'sends a guide to the platform, which says who she is' },
  'GET /sidebar/signed-in': { why: 'begins the session of a guide' },
  'GET /sidebar/signatures': { why: 'signs a page of ours for the platform' },
  'GET /sidebar/customers/:externalUserId': SIDEBAR_READ,
  'GET /sidebar/tasks': SIDEBAR_READ,
  'POST /sidebar/tasks/:taskId/close': 'tasks/close',
  'GET /sidebar/materials': { why: 'texts that anybody may be sent' },
}
