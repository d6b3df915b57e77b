import { said } from '../../said.js'
import { UpstreamError } from '../../errors.js'
import { SECOND_MS } from '../../time.js'

const TIMEOUT_MS = 5 * SECOND_MS

/** Resolves when that ClickHouse takes our user and answers; creates nothing. @throws {UpstreamError} */
export async function pingClickhouse(address: string): Promise<void> {
  const url = new URL(address)
  const { username, password } = url
  Object.assign(url, { username: '', password: '' })
  url.searchParams.set('query', 'SELECT 1')
  const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')
  const headers = new Headers(username === '' ? [] : [['Authorization', `Basic ${login}`]])
  let status: number
  try {
    status = (await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) })).status
  } catch (err) {
    const { code = 'no answer' } = ((err as Error).cause ?? {}) as { code?: string }
    throw new UpstreamError('clickhouse', code, true, said('连不上', 'cannot be reached'))
  }
  if (status !== 200)
    throw new UpstreamError(
      'clickhouse',
      `HTTP ${status}`,
      false,
      said('有应答但不接受；检查用户名和密码', 'it answers but refuses; check user and password'),
    )
}
