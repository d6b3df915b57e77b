import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from '@jest/globals'
import { moveFile, openTar, tarFolder, tarWriter } from '../../../src/adapters/archive/tar.js'

describe('an archive', () => {
  const home = mkdtempSync(join(tmpdir(), 'siyu-tar-'))
  afterAll(() => rmSync(home, { recursive: true, force: true }))
  const pieces = [0, 1, 511, 512, 513, 70_000].map((n, i) => ({ name: `a/${i}.bin`, data: Buffer.alloc(n, i + 1) }))

  async function write(folder: string, name: string): Promise<string> {
    const archive = await tarFolder(folder).create(name)
    for (const { name: piece, data } of pieces) await archive.add(piece, data)
    expect(await archive.commit()).toBe(statSync(join(folder, name)).size)
    await archive.discard()
    return join(folder, name)
  }
  async function read(file: string): Promise<{ name: string; data: Buffer }[]> {
    const archive = await openTar(file)
    try {
      const found: { name: string; data: Buffer }[] = []
      for await (const { name, read: readPiece } of archive.entries()) found.push({ name, data: await readPiece() })
      return found
    } finally {
      await archive.close()
      await archive.close()
    }
  }

  it('gives back its pieces, here and to any tar, and only this user reads it', async () => {
    const folder = join(home, 'own')
    const file = await write(folder, 'one.tar')
    expect(await read(file)).toEqual(pieces)
    expect(execFileSync('tar', ['tf', file], { encoding: 'utf8' }).trim().split('\n')).toEqual(
      pieces.map((p) => p.name),
    )
    expect(execFileSync('tar', ['xOf', file, 'a/5.bin']).equals(pieces[5]!.data)).toBe(true)
    expect([statSync(file).mode & 0o777, statSync(folder).mode & 0o777]).toEqual([0o600, 0o700])
  })

  it('is there when it is whole, takes no place of another, and leaves nothing when it is not wanted', async () => {
    const folder = join(home, 'whole')
    const archives = tarFolder(folder)
    expect(await archives.list()).toEqual([])
    await write(folder, 'one.tar')
    const before = readFileSync(join(folder, 'one.tar'))
    const again = await archives.create('one.tar')
    expect(await archives.list()).toEqual(['one.tar'])
    await expect(again.commit()).rejects.toThrow('is there already')
    expect(readFileSync(join(folder, 'one.tar')).equals(before)).toBe(true)
    const unwanted = await archives.create('two.tar')
    await unwanted.add('a', Buffer.from('a'))
    await unwanted.discard()
    expect(readdirSync(folder)).toEqual(['one.tar'])
  })

  /** Another disk than that of temporary files, where there is one. */
  const OTHER_DISK = '/dev/shm'
  const other =
    existsSync(OTHER_DISK) && statSync(OTHER_DISK).dev !== statSync(tmpdir()).dev
      ? mkdtempSync(join(OTHER_DISK, 'siyu-tar-'))
      : undefined
  afterAll(() => (other === undefined ? undefined : rmSync(other, { recursive: true, force: true })))
  it.each([['on its disk', home], ...(other === undefined ? [] : [['to another disk', other]])])(
    'is moved %s whole, and takes no place of another',
    async (_where, folder) => {
      const file = await write(join(home, 'moving'), 'a.tar')
      const content = readFileSync(file)
      const to = join(folder, 'moved.tar')
      writeFileSync(to, 'another')
      await expect(moveFile(file, to)).rejects.toThrow('is there already')
      expect(readFileSync(to, 'utf8')).toBe('another')
      expect(readFileSync(file)).toEqual(content)
      rmSync(to)
      await moveFile(file, to)
      expect(readFileSync(to)).toEqual(content)
      expect(existsSync(file)).toBe(false)
      expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([])
      expect(statSync(to).mode & 0o077).toBe(0)
      rmSync(to)
    },
  )

  it('is no folder', async () => {
    await expect(openTar(home)).rejects.toThrow('is no file')
  })

  it('has the beginnings of the dead swept away after a day', async () => {
    const folder = join(home, 'swept')
    await write(folder, 'one.tar')
    for (const name of ['old.tar.aa.part', 'new.tar.bb.part']) writeFileSync(join(folder, name), '')
    utimesSync(join(folder, 'old.tar.aa.part'), 1, 1)
    await write(folder, 'two.tar')
    expect(readdirSync(folder).sort()).toEqual(['new.tar.bb.part', 'one.tar', 'two.tar'])
  })

  it('says when it was cut off, is none, or is not there', async () => {
    const file = await write(join(home, 'cut'), 'one.tar')
    const whole = readFileSync(file)
    for (const size of [0, 100, 600, 1_500, whole.length - 1_024]) {
      writeFileSync(file, whole.subarray(0, size))
      await expect(read(file)).rejects.toThrow('is not whole')
    }
    writeFileSync(file, Buffer.alloc(2_000, 'x'))
    await expect(read(file)).rejects.toThrow('is no backup')
    await expect(openTar(join(home, 'nowhere.tar'))).rejects.toThrow('cannot be read')
  })

  it('is not whole where a piece claims a size that the file has no room for, and no backup where it is no size', async () => {
    const file = await write(join(home, 'sizes'), 'one.tar')
    const whole = readFileSync(file)
    const claiming = (size: string) => {
      const forged = Buffer.from(whole)
      forged.write(`${size}\0`, 124)
      forged.write('        ', 148)
      const sum = forged.subarray(0, 512).reduce((total, byte) => total + byte, 0)
      forged.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
      return forged
    }
    for (const [size, said] of [
      ['77777777777', 'is not whole'],
      [(whole.length - 511).toString(8).padStart(11, '0'), 'is not whole'],
      ['-0000001000', 'is no backup'],
      ['abcdefghijk', 'is no backup'],
      ['0000000009z', 'is no backup'],
    ] as const) {
      writeFileSync(file, claiming(size))
      await expect(read(file)).rejects.toThrow(said)
    }
  }, 20_000)

  it('says that the disk is full', async () => {
    const part = join(home, 'full.part')
    const archive = tarWriter(await open('/dev/full', 'w'), part, join(home, 'full.tar'))
    await expect(archive.add('a', Buffer.alloc(10))).rejects.toThrow('the disk is full')
    await archive.discard()
  })
})
