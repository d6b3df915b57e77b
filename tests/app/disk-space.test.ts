import { tmpdir } from 'node:os'
import { expect, it } from '@jest/globals'
import { diskSpace } from '../../src/app/disk-space.js'
import { DISK_BOUNDS } from '../../src/bounds.js'

it('a full disk is a part that is down, at the bound and not before', async () => {
  const withFree = (bytes: number) => diskSpace('data', () => Promise.resolve(bytes)).ping()
  await expect(withFree(DISK_BOUNDS.freeBytes)).resolves.toBeUndefined()
  await expect(withFree(DISK_BOUNDS.freeBytes - 1)).rejects.toThrow('free in data')
  await expect(diskSpace(tmpdir()).ping()).resolves.toBeUndefined()
})
