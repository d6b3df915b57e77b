import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { said } from '../said.js'
import { ConfigError } from '../errors.js'
import { secretHex } from '../random.js'

/**
 * The keys of the configuration or, with none there, one of our own: made once and kept in the file `api-key` of the
 * data directory, which only this user can read. `file` is set in the second case, to tell the operator where to look.
 *
 * @throws {ConfigError} when that file holds no key
 */
export async function openApiKeys(
  configured: readonly string[],
  dataDir: string,
): Promise<{ apiKeys: readonly string[]; file?: string }> {
  if (configured.length > 0) return { apiKeys: configured }
  const file = join(dataDir, 'api-key')
  const key = (await readIfPresent(file)) ?? (await make(file))
  if (/^\S{16,}$/.test(key)) return { apiKeys: [key], file }
  const problem = {
    file,
    path: '',
    message: said('里面没有密钥', 'it holds no API key'),
    hint: said('删掉它就会换新的，或设置 http.apiKeys', 'delete it to get a new one, or set http.apiKeys'),
  }
  throw new ConfigError(said('密钥读不了', 'API key cannot be read'), [problem])
}

/** Written beside and linked, so that two processes end with the same key and a kill leaves no half of one. */
async function make(file: string): Promise<string> {
  const draft = `${file}-${secretHex(4)}`
  const key = secretHex(24)
  await writeFile(draft, `${key}\n`, { mode: 0o600, flush: true })
  try {
    await link(draft, file)
    return key
  } catch (err) {
    const kept = (err as NodeJS.ErrnoException).code === 'EEXIST' ? await readIfPresent(file) : undefined
    if (kept === undefined) throw err
    return kept
  } finally {
    await rm(draft, { force: true })
  }
}

async function readIfPresent(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw err
  }
}
