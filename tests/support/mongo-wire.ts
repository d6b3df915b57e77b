import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { MINUTE_MS } from '../../src/time.js'

/**
 * Starts a server that speaks MongoDB's wire protocol, from the folder in `MONGO_WIRE` (default: `../shared/mongo-wire`
 * beside the checkout), which holds an executable `run [port]` that prints its `mongodb://` address. Needs Java.
 * Resolves to `undefined` when there is none. What it measures or lacks is its own, not MongoDB's.
 */
export async function startMongoWire(): Promise<{ url: string; pid: number; stop(): Promise<void> } | undefined> {
  const run = resolve(process.env.MONGO_WIRE ?? '../shared/mongo-wire', 'run')
  if (!existsSync(run)) return undefined
  const child = spawn(run, ['0'], { stdio: ['ignore', 'pipe', 'pipe'] })
  let complaint = ''
  child.stderr.on('data', (text: Buffer) => (complaint += text.toString()))
  const ended = new Promise<void>((done) => child.once('close', () => done()))
  const stop = async () => {
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), MINUTE_MS)
    await ended
    clearTimeout(late)
  }

  const url = await new Promise<string | undefined>((done) => {
    const late = setTimeout(() => done(undefined), 2 * MINUTE_MS)
    const settle = (found?: string) => {
      clearTimeout(late)
      done(found)
    }
    createInterface({ input: child.stdout }).on('line', (line) => {
      const address = /mongodb:\/\/\S+/.exec(line)?.[0]
      if (address !== undefined) settle(address)
    })
    child.once('error', () => settle())
    void ended.then(() => settle())
  })
  if (url !== undefined) return { url, pid: child.pid!, stop } // it has spoken, so it runs
  await stop()
  console.warn(`The MongoDB-wire server did not start: ${complaint.trim() || 'no address within two minutes'}`)
  return undefined
}
