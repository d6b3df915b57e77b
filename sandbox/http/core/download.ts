import { createHash } from 'node:crypto'
import axios from 'axios'
import { SECOND_MS } from '../../../src/time.js'

const TIMEOUT_MS = 10 * SECOND_MS
export type DownloadProblem = { errcode: number; errmsg: string }

/**
 * A file from an address that must understand `Range` (page 96488). Never throws: what goes wrong is the job's result.
 *
 * @param md5 - of the whole file, in hex
 * @returns the file, or 45001 too large, 301019 another md5, 40058 not to be had
 */
export async function download(url: string, md5: string, maxBytes: number): Promise<Buffer | DownloadProblem> {
  let content: Buffer
  try {
    const answer = await axios.get<ArrayBuffer>(url, {
      headers: { Range: `bytes=0-${maxBytes}` },
      responseType: 'arraybuffer',
      timeout: TIMEOUT_MS,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      maxContentLength: maxBytes + 1,
      proxy: false,
      validateStatus: () => true,
    })
    if (answer.status !== 206)
      return { errcode: 40058, errmsg: 'url does not support range. invalid Request Parameter' }
    content = Buffer.from(answer.data)
  } catch (err) {
    const tooLarge = axios.isAxiosError(err) && /maxContentLength/.test(err.message)
    return tooLarge
      ? { errcode: 45001, errmsg: 'media size out of limit' }
      : { errcode: 40058, errmsg: 'url not reachable. invalid Request Parameter' }
  }
  if (content.length > maxBytes) return { errcode: 45001, errmsg: 'media size out of limit' }
  const digest = createHash('md5').update(content).digest('hex')
  return digest === md5.toLowerCase() ? content : { errcode: 301019, errmsg: 'md5 not match' }
}
