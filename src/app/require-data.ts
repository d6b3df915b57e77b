import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { said } from '../said.js'
import type { Config } from '../config.js'
import { ConfigError } from '../errors.js'
import { COMMANDS } from './doors.js'
import { naming } from './name-setting.js'

/** A command and its configuration file; no command: it is none of the command line. */
type Asking = { config: string; command?: string }

/**
 * Has a command that only asks ask a store that is there: opening an embedded one would make it, and the answer would be that
 * there is nobody.
 *
 * @throws {ConfigError} with file and line of the setting, while nothing was ever stored there
 */
export async function requireData(
  config: Config,
  { config: file, command }: Asking,
  needs: readonly ('documents' | 'events')[] = ['documents', 'events'],
): Promise<void> {
  if (command === undefined || !(await isQuestion(command))) return
  const { documents, events, dataDir } = config
  const stores = [
    ...(needs.includes('documents') && documents.kind === 'sqlite' ? ['documents.sqlite'] : []),
    ...(needs.includes('events') && events.kind === 'chdb' ? ['events'] : []),
  ]
  const areThere = await Promise.all(stores.map((name) => isThere(join(dataDir, name))))
  if (areThere.every((one) => one)) return
  const problem = {
    path: 'dataDir',
    message: said(`${dataDir} 里还没有数据`, `there is no data in ${dataDir} yet`),
    hint: said(
      '先 siyu serve 或 siyu import；若数据在别处，改这里',
      'start the service or import first; if the data is elsewhere, say so here',
    ),
  }
  await naming(file, Promise.reject(new ConfigError(said('没有可查的数据', 'there is nothing to ask'), [problem])))
}

/** Whether it changes nothing, whatever it is given. `send status` is an input of an operation that could. */
export async function isQuestion(command: string): Promise<boolean> {
  const door = COMMANDS[command]
  if (door === undefined || 'why' in door) return false
  // Only here, where it takes long to load: most of what the command works with.
  const { operations } = await import('../services/runtime/operations.js')
  return command === 'send status' || door.every((name) => operations[name].effect === 'read')
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw err
  }
}
