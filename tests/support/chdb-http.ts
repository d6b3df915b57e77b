import { rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Session, drainPending } from 'chdb'
import { messageOf } from '../../src/errors.js'
import { secretHex } from '../../src/random.js'

/**
 * An HTTP front of chDB: NOT a ClickHouse server. It speaks as much of ClickHouse's HTTP interface as
 * `@clickhouse/client` uses (query in body or URL, `database` and settings in the query string, formats, `/ping`, Basic
 * authentication, error bodies and their status), so that the ClickHouse adapter's way over a socket can be exercised
 * where no server can be had. Clusters, replication and the server's own concurrency are not covered by it.
 */
export type ChdbHttp = {
  /** With user and password. */
  url: string
  /** The next `count` queries lose their connection: before they run, or after they ran and before the answer. */
  breakNext(count: number, when: 'before' | 'after'): void
  /** Queries taken so far, broken ones included. */
  taken(): number
  close(): Promise<void>
}

const USER = 'siyu'
const PASSWORD = 'front-password'
/** Parameters of the URL that are no settings of the engine. */
const NOT_SETTINGS = new Set(['query', 'database', 'query_id', 'session_id', 'default_format', 'wait_end_of_query'])
/** The status ClickHouse gives with an error code; 500 for the rest. */
const STATUS: Readonly<Record<string, number>> = { 47: 404, 60: 404, 81: 404, 115: 404, 62: 400, 516: 401 }

export async function startChdbHttp(path: string): Promise<ChdbHttp> {
  // Holds the directory open between requests; each request has a connection of its own, as settings stick to those.
  const holder = new Session(path)
  let taken = 0
  let toBreak = { count: 0, when: 'before' as 'before' | 'after' }

  const handle = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const url = new URL(req.url ?? '/', 'http://front')
    if (url.pathname === '/ping') return void res.end('Ok.\n')
    const expected = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`
    if (req.headers.authorization !== expected) {
      return fail(
        res,
        'Code: 516. DB::Exception: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)',
      )
    }
    const body = await readBody(req)
    const query = url.searchParams.get('query') ?? ''
    const file = /^INSERT .* FORMAT Parquet$/s.test(query) ? join(path, `${secretHex(8)}.parquet`) : undefined
    if (file !== undefined) await writeFile(file, body)
    const sql =
      file === undefined
        ? [query, body.toString('utf8')].filter((part) => part !== '').join('\n')
        : // The engine in a process takes bytes from files alone.
          query.replace(/FORMAT Parquet$/, `SELECT ${/\((.*?)\)/s.exec(query)![1]} FROM file('${file}', Parquet)`)
    taken++
    const breaks = toBreak.count > 0 ? toBreak.when : undefined
    if (breaks !== undefined) toBreak = { ...toBreak, count: toBreak.count - 1 }
    if (breaks === 'before') return void req.socket.destroy()

    const session = new Session(path)
    try {
      const settings = [...url.searchParams].filter(([name]) => !NOT_SETTINGS.has(name))
      await session.queryAsync(`USE \`${url.searchParams.get('database') ?? 'default'}\``)
      for (const [name, value] of settings) await session.queryAsync(`SET ${name} = '${value.replace(/'/g, "''")}'`)
      const format = url.searchParams.get('default_format') ?? 'TabSeparated'
      const result = await session.queryAsync(sql, { format })
      if (breaks === 'after') return void req.socket.destroy()
      res.setHeader('X-ClickHouse-Summary', JSON.stringify({ read_rows: String(result.rowsRead) }))
      res.end(result.bytes())
    } catch (err) {
      fail(res, messageOf(err))
    } finally {
      session.close()
      if (file !== undefined) await rm(file, { force: true })
    }
  }

  const server = createServer((req, res) => {
    handle(req, res).catch((err: unknown) => fail(res, messageOf(err)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${USER}:${PASSWORD}@127.0.0.1:${port}`,
    breakNext: (count, when) => (toBreak = { count, when }),
    taken: () => taken,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await drainPending()
      holder.close()
      await drainPending()
    },
  }
}

function fail(res: ServerResponse, message: string): void {
  const code = /Code: (\d+)/.exec(message)?.[1] ?? '1002'
  res.statusCode = STATUS[code] ?? 500
  res.setHeader('X-ClickHouse-Exception-Code', code)
  res.end(`${message}\n`)
}

async function readBody(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
