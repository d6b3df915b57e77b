import { availableParallelism, cpus, loadavg, release, totalmem, type as systemName } from 'node:os'
import { statfs } from 'node:fs/promises'
import { query } from 'chdb'
import Database from 'libsql'
import type { RunResult } from './result.js'
import { installedVersion } from './stand.js'

/** @param dir - of the stores */
export async function describeMachine(dir: string): Promise<RunResult['machine']> {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    system: `${systemName()} ${release()}`,
    fileSystem: await fileSystemOf(dir),
  }
}

export function load(): [number, number, number] {
  const [one, five, fifteen] = loadavg()
  return [one!, five!, fifteen!]
}

export function versions(): Record<string, string> {
  const db = new Database(':memory:')
  const sqlite = db.prepare('SELECT sqlite_version() AS v').get() as { v: string }
  db.close()
  return {
    siyu: installedVersion('..'),
    node: process.versions.node,
    chdb: installedVersion('chdb'),
    clickhouse: query('SELECT version()', 'TSV').trim(),
    libsql: installedVersion('libsql'),
    sqlite: sqlite.v,
  }
}

/** Magic numbers of statfs(2). */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x01021994: 'tmpfs',
  0x794c7630: 'overlayfs',
  0x9123683e: 'btrfs',
  0x58465342: 'xfs',
}

async function fileSystemOf(dir: string): Promise<string> {
  const { type } = await statfs(dir)
  return FILE_SYSTEMS[type] ?? `file system 0x${type.toString(16)}`
}
