import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process'
import { readFileSync } from 'node:fs'

const running = new Set<ChildProcess>()
process.once('exit', () => running.forEach((child) => child.kill('SIGTERM')))

/** Runs a program of ours, which ends no later than this process: what is left would hold its stores against the next run. */
export function spawnOwn(args: readonly string[], stdio: StdioOptions): ChildProcess {
  const child = spawn(process.execPath, args, { stdio })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** User and system time of a process so far, all threads, in ms. Linux only, else 0; it counts in hundredths of a second. @see proc_pid_stat(5) */
export function cpuMsOf(pid: number | undefined): number {
  if (process.platform !== 'linux') return 0
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** Memory that a process holds now. Linux only, else 0. */
export function rssMiBOf(pid: number | undefined): number {
  if (process.platform !== 'linux') return 0
  const kiB = /^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Math.round(Number(kiB ?? 0) / 1_024)
}
