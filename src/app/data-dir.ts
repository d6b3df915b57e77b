import { link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { said } from '../said.js'
import { ConfigError, ConflictError, messageOf } from '../errors.js'
import { secretHex } from '../random.js'
import { systemClock } from '../time.js'

export interface DataDirLock {
  /** May be called twice. */
  release(): Promise<void>
}

/**
 * Makes the directory when it is absent and keeps every other process out of it until `release` or the end of this
 * process, however it ends.
 *
 * Locks are numbered files `lock.<n>`; the highest number is the one that counts. Who finds its owner gone creates the
 * next number, which only one process can, and only a holder of a higher number deletes lower ones. So there is no
 * moment at which a stale lock is removed and a fresh one could be hit instead.
 *
 * @throws {ConflictError} when a living process holds it, naming its id
 * @throws {ConfigError} when the directory cannot be made or written
 */
export async function lockDataDir(dir: string): Promise<DataDirLock> {
  const draft = draftFile(dir)
  await prepare(dir, draft)
  try {
    for (;;) {
      const last = (await lockNumbers(dir)).at(-1) ?? 0
      const owner = last === 0 ? undefined : await readOwner(lockFile(dir, last))
      if (owner !== undefined && (await isAlive(owner))) throw inUse(dir, last, owner)
      const mine = last + 1
      if (!(await linkIfFree(draft, lockFile(dir, mine)))) continue
      const numbers = await lockNumbers(dir)
      if (numbers.at(-1) === mine) {
        for (const n of numbers.slice(0, -1)) await rm(lockFile(dir, n), { force: true })
        return held(dir, mine)
      }
      // Somebody went past this number while we were looking.
      await rm(lockFile(dir, mine), { force: true })
    }
  } finally {
    await rm(draft, { force: true })
  }
}

/** Tells a process from all others that were or will be on this machine. */
export type ProcessMark = { pid: number; timeOrigin: number }

/** The living process that holds the directory; `undefined`: nobody, or there is none. */
export async function holderOf(dir: string): Promise<ProcessMark | undefined> {
  const last = (await lockNumbers(dir)).at(-1)
  const owner = last === undefined ? undefined : await readOwner(lockFile(dir, last))
  return owner !== undefined && (await isAlive(owner)) ? owner : undefined
}

const Owner = z.object({
  pid: z.int(),
  host: z.string(),
  /** When the machine and the process started, as the system tells; absent where it does not (macOS). */
  boot: z.string().optional(),
  started: z.string().optional(),
  /** Tells this process from an earlier one with its id, on every system. */
  timeOrigin: z.number(),
  since: z.string(),
})
type Owner = z.infer<typeof Owner>

const RELEASED = 'released\n'

async function prepare(dir: string, draft: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const process_ = await statOf(process.pid)
    const boot = await readIfPresent('/proc/sys/kernel/random/boot_id')
    const owner: Owner = {
      pid: process.pid,
      host: hostname(),
      ...(boot !== undefined && { boot: boot.trim() }),
      ...(process_ !== undefined && { started: process_.started }),
      timeOrigin: performance.timeOrigin,
      since: systemClock.now().toISOString(),
    }
    await writeFile(draft, `${JSON.stringify(owner)}\n`)
  } catch (err) {
    const problem = {
      path: 'dataDir',
      message: messageOf(err),
      hint: said('换一个可写的目录', 'choose a directory that this user may write'),
    }
    throw new ConfigError(said(`数据目录 ${dir} 不能用`, `data directory ${dir} cannot be used`), [problem], {
      cause: err,
    })
  }
}

function held(dir: string, number: number): DataDirLock {
  let released = false
  return {
    release: async () => {
      if (released) return
      released = true
      // The file stays: were its number free again, a slow process could take it beside a later owner.
      const draft = draftFile(dir)
      try {
        await writeFile(draft, RELEASED)
        await rename(draft, lockFile(dir, number))
      } catch (err) {
        // The whole directory was deleted: nothing is left to give back.
        if ((err as NodeJS.ErrnoException).code !== 'ENOENT') throw err
      }
    },
  }
}

function inUse(dir: string, number: number, owner: Owner): ConflictError {
  const sameHost = owner.host === hostname()
  const lock = lockFile(dir, number)
  const zh = sameHost
    ? `停掉它（kill ${owner.pid}），或用另一个数据目录（dataDir、--data）`
    : `停掉它，或用另一个数据目录；那台机器或容器已经不在了，就删掉 ${lock}`
  const en = sameHost
    ? `stop that process (kill ${owner.pid}), or use another data directory (dataDir, --data)`
    : `stop that process, or use another data directory; if that machine or container is gone for good, delete ${lock}`
  const message = said(
    `数据目录 ${dir} 正被进程 ${owner.pid}${sameHost ? '' : `（在 ${owner.host} 上）`} 使用，自 ${owner.since}：${zh}`,
    `data directory ${dir} is in use by process ${owner.pid}${sameHost ? '' : ` on ${owner.host}`} (since ${owner.since}): ${en}`,
  )
  return new ConflictError(message, {
    dir,
    pid: owner.pid,
    host: owner.host,
  })
}

/** On another host nobody can tell, so its process counts as alive. */
async function isAlive(owner: Owner): Promise<boolean> {
  if (owner.host !== hostname()) return true
  if (owner.pid === process.pid) return owner.timeOrigin === performance.timeOrigin
  const boot = await readIfPresent('/proc/sys/kernel/random/boot_id')
  if (boot !== undefined && owner.boot !== undefined && boot.trim() !== owner.boot) return false
  if (!processExists(owner.pid)) return false
  const stat = await statOf(owner.pid)
  if (stat === undefined) return true
  return !stat.isDead && (owner.started === undefined || owner.started === stat.started)
}

function processExists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (err) {
    // EPERM: it exists and belongs to somebody else.
    return (err as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Linux only. A zombie is dead: its parent has merely not asked yet. @see proc_pid_stat(5), fields 3 and 22 */
async function statOf(pid: number): Promise<{ started: string; isDead: boolean } | undefined> {
  const text = await readIfPresent(`/proc/${pid}/stat`)
  if (text === undefined) return undefined
  // The name in field 2 may hold spaces and brackets; what follows its last bracket does not.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { isDead: /^[ZXx]/.test(fields[0] ?? ''), started: fields[19] ?? '' }
}

/** `undefined` when it was released, or torn by a power cut. */
async function readOwner(file: string): Promise<Owner | undefined> {
  const text = (await readIfPresent(file)) ?? ''
  if (!text.startsWith('{') || !text.endsWith('}\n')) return undefined
  return Owner.safeParse(JSON.parse(text)).data
}

async function lockNumbers(dir: string): Promise<number[]> {
  const names = await readdir(dir).catch((err: NodeJS.ErrnoException) => {
    if (err.code === 'ENOENT') return []
    throw err
  })
  const numbers = names.map((name) => /^lock\.(\d+)$/.exec(name)?.[1])
  return numbers
    .filter((n) => n !== undefined)
    .map(Number)
    .sort((a, b) => a - b)
}

function lockFile(dir: string, number: number): string {
  return join(dir, `lock.${number}`)
}

function draftFile(dir: string): string {
  return join(dir, `lock-draft-${process.pid}-${secretHex(4)}`)
}

async function linkIfFree(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (err) {
    const { code } = err as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw err
    const hint = said('把数据目录放在本机磁盘上', 'put the data directory on a local disk')
    throw new ConfigError(
      said('数据目录锁不住', 'data directory cannot be locked'),
      [{ path: 'dataDir', message: said(`那里不能建硬链接（${code}）`, `no hard links there (${code})`), hint }],
      {
        cause: err,
      },
    )
  }
}

async function readIfPresent(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (err) {
    // ESRCH: the process ended while /proc was being read.
    if (['ENOENT', 'ESRCH'].includes((err as NodeJS.ErrnoException).code ?? '')) return undefined
    throw err
  }
}
