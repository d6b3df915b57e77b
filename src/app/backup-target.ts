import { stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { moveFile } from '../adapters/archive/tar.js'
import { ConflictError, InvalidInputError } from '../errors.js'
import { said } from '../said.js'

/** Where somebody wants a backup. */
export type Target = { path: string; isFolder: boolean }

/** @throws {ConflictError} where there is such a file @throws {InvalidInputError} where there is no such folder */
export async function targetOf(to: string): Promise<Target> {
  const path = resolve(to)
  const found = await stat(path).catch((err: NodeJS.ErrnoException) => {
    if (err.code === 'ENOENT') return undefined
    throw err
  })
  if (found?.isDirectory() === true) return { path, isFolder: true }
  if (found !== undefined)
    throw new ConflictError(said(`${path} 已经有了 → 换个名字`, `${path} is there already → choose another name`))
  await stat(dirname(path)).catch((err: NodeJS.ErrnoException) => {
    if (err.code !== 'ENOENT') throw err
    throw new InvalidInputError(said('备份放不到那里', 'a backup cannot be put there'), [
      {
        path: 'to',
        message: said(`没有目录 ${dirname(path)}`, `there is no folder ${dirname(path)}`),
        hint: said('先建好它，或换个地方', 'make it first, or choose another place'),
      },
    ])
  })
  return { path, isFolder: false }
}

/** From where the service writes, which may be another disk. @returns where it is then @throws {ConflictError} where there is such a file */
export async function moveBackup(from: string, { path, isFolder }: Target): Promise<string> {
  const to = isFolder ? join(path, basename(from)) : path
  await moveFile(from, to)
  return to
}
