import { constants } from 'node:fs'
import { copyFile, type FileHandle, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ConfigError, ConflictError, InvalidInputError, messageOf } from '../../errors.js'
import type { ArchiveReader, Archives, ArchiveWriter } from '../../ports/archive.js'
import { secretHex } from '../../random.js'
import { said } from '../../said.js'
import { DAY_MS, systemClock } from '../../time.js'

/**
 * Archives as tar files (POSIX ustar), so that any tar shows and unpacks them. Only this user reads them.
 *
 * @see POSIX.1-2017, pax, "ustar Interchange Format"
 */
const BLOCK = 512

/** The archives of a folder, which is made when the first one is. */
export function tarFolder(folder: string): Archives {
  return {
    placeOf: (name) => join(folder, name),
    async list() {
      const names = await readdir(folder).catch((err: NodeJS.ErrnoException) => {
        if (err.code === 'ENOENT') return []
        throw err
      })
      return names.filter((name) => name.endsWith('.tar')).sort()
    },
    async create(name) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await removeLeft(folder)
      const file = join(folder, name)
      const part = join(folder, `${name}.${secretHex(4)}.part`)
      return tarWriter(await open(part, 'wx', 0o600), part, file)
    },
  }
}

/** Beginnings of whoever died: nobody has written to them for a day. */
async function removeLeft(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.part')) continue
    const left = join(folder, name)
    if ((await stat(left)).mtimeMs < systemClock.now().getTime() - DAY_MS) await rm(left, { force: true })
  }
}

/** @param handle - of the file `part`, which becomes `file` */
export function tarWriter(handle: FileHandle, part: string, file: string): ArchiveWriter {
  let bytes = 0
  let isOver = false
  const write = async (data: Buffer) => {
    try {
      for (let from = 0; from < data.length;) from += (await handle.write(data, from)).bytesWritten
    } catch (err) {
      throw orDiskFull(err, part)
    }
    bytes += data.length
  }
  return {
    async add(name, data) {
      await write(headerOf(name, data.length))
      await write(data)
      await write(Buffer.alloc(padding(data.length)))
    },
    async commit() {
      await write(Buffer.alloc(2 * BLOCK))
      await handle.sync()
      await handle.close()
      isOver = true
      try {
        await placeFile(part, file)
      } catch (err) {
        await rm(part, { force: true })
        throw err
      }
      return bytes
    },
    async discard() {
      if (isOver) return
      isOver = true
      await handle.close()
      await rm(part, { force: true })
    },
  }
}

/** Of file systems that have no links. */
const NO_LINKS: ReadonlySet<string | undefined> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

/** Gives a finished file its name, on the same disk; a power cut leaves it under one of both. @throws {ConflictError} where there is such a file */
export async function placeFile(part: string, file: string): Promise<void> {
  const taken = () =>
    new ConflictError(said(`${file} 已经有了 → 换个名字`, `${file} is there already → choose another name`))
  try {
    await link(part, file) // unlike a rename it takes no other file's place
  } catch (err) {
    const { code } = err as NodeJS.ErrnoException
    if (code === 'EEXIST') throw taken()
    if (!NO_LINKS.has(code)) throw err
    if (await isThere(file)) throw taken()
    await rename(part, file)
  }
  await syncFolder(dirname(file))
  await rm(part, { force: true })
}

async function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    (err: NodeJS.ErrnoException) => {
      if (err.code === 'ENOENT') return false
      throw err
    },
  )
}

/**
 * Moves a finished file, to another disk, too: it is there whole, or it is where it was.
 *
 * @throws {ConflictError} where there is such a file
 */
export async function moveFile(from: string, to: string): Promise<void> {
  try {
    return await placeFile(from, to)
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'EXDEV') throw err
  }
  const part = `${to}.${secretHex(4)}.part`
  try {
    await copyFile(from, part, constants.COPYFILE_EXCL)
    const handle = await open(part, 'r+')
    await handle.sync().finally(() => handle.close())
    await placeFile(part, to)
  } catch (err) {
    await rm(part, { force: true })
    throw orDiskFull(err, to)
  }
  await rm(from)
}

/** @throws {ConfigError} where it cannot be read */
export async function openTar(file: string): Promise<ArchiveReader> {
  const handle = await open(file, 'r').catch((err: unknown) => {
    throw new ConfigError(said(`读不了 ${file}`, `${file} cannot be read`), [
      { path: basename(file), message: messageOf(err), hint: said('核对路径', 'check the path') },
    ])
  })
  let isOpen = true
  const about = await handle.stat()
  if (!about.isFile()) {
    await handle.close()
    throw new ConfigError(said(`${file} 不是文件`, `${file} is no file`), [
      {
        path: basename(file),
        message: said('是目录', 'is a folder'),
        hint: said('写出备份文件', 'name the file of the backup'),
      },
    ])
  }
  const { size } = about
  const readAt = async (at: number, length: number): Promise<Buffer> => {
    const data = Buffer.alloc(length)
    for (let got = 0; got < length;) {
      const { bytesRead } = await handle.read(data, got, length - got, at + got)
      if (bytesRead === 0) throw cutOff(file)
      got += bytesRead
    }
    return data
  }
  return {
    async *entries() {
      for (let at = 0; ;) {
        const header = await readAt(at, BLOCK)
        if (header.every((byte) => byte === 0)) return
        const { name, bytes } = readHeader(header, file)
        const from = at + BLOCK
        if (from + bytes > size) throw cutOff(file) // before memory is taken for it
        yield { name, bytes, read: () => readAt(from, bytes) }
        at = from + bytes + padding(bytes)
      }
    },
    async close() {
      if (isOpen) await handle.close()
      isOpen = false
    },
  }
}

function padding(bytes: number): number {
  return (BLOCK - (bytes % BLOCK)) % BLOCK
}

function headerOf(name: string, bytes: number): Buffer {
  const header = Buffer.alloc(BLOCK)
  if (Buffer.byteLength(name) > 100) throw new RangeError(`"${name}" is longer than the 100 bytes of a name`)
  header.write(name, 0)
  header.write('0000600\0', 100) // mode
  header.write('0000000\0', 108) // owner
  header.write('0000000\0', 116) // group
  header.write(`${bytes.toString(8).padStart(11, '0')}\0`, 124)
  header.write('00000000000\0', 136) // time: the manifest tells it
  header.write('        ', 148)
  header.write('0', 156) // a regular file
  header.write('ustar\x0000', 257)
  header.write(`${sumOf(header).toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

function readHeader(header: Buffer, file: string): { name: string; bytes: number } {
  const sum = Number.parseInt(header.toString('latin1', 148, 156), 8)
  const blank = Buffer.from(header)
  blank.write('        ', 148)
  const bytes = header.toString('latin1', 124, 135)
  if (header.toString('latin1', 257, 262) !== 'ustar' || sum !== sumOf(blank) || !/^[0-7]{11}$/.test(bytes))
    throw notOurs(file)
  const name = header.toString('utf8', 0, 100).replace(/\0.*$/s, '')
  return { name, bytes: Number.parseInt(bytes, 8) }
}

function sumOf(header: Buffer): number {
  return header.reduce((sum, byte) => sum + byte, 0)
}

function cutOff(file: string): InvalidInputError {
  return new InvalidInputError(said(`${file} 不完整`, `${file} is not whole`), [
    {
      path: 'file',
      message: said('它中途断了', 'it ends in the middle'),
      hint: said('用另一份备份，或重新拷一次', 'take another backup, or copy it again'),
    },
  ])
}

function notOurs(file: string): InvalidInputError {
  return new InvalidInputError(said(`${file} 不是备份`, `${file} is no backup`), [
    {
      path: 'file',
      message: said('里面不是 siyu 写的', 'what is in it was not written by siyu, or is damaged'),
      hint: said('用 siyu backup 写的文件', 'give a file that siyu backup wrote'),
    },
  ])
}

/** What was thrown, in words where there is no room on the disk, or no more of somebody's share of it. */
function orDiskFull(cause: unknown, file: string): unknown {
  if (!['ENOSPC', 'EDQUOT'].includes((cause as NodeJS.ErrnoException).code ?? '')) return cause
  return new ConfigError(
    said('磁盘满了，备份没有写成', 'the disk is full, no backup was written'),
    [
      {
        path: dirname(file),
        message: said('没有空间', 'no space is left'),
        hint: said('腾出空间再备份', 'make room, then back up again'),
      },
    ],
    { cause },
  )
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
