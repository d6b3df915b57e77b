import { statfs } from 'node:fs/promises'
import { DISK_BOUNDS } from '../bounds.js'

/** A part of the service that is down while the volume of the data directory has too little room for what comes in. */
export function diskSpace(
  dataDir: string,
  free: (dir: string) => Promise<number> = freeBytes,
): { ping(): Promise<void> } {
  return {
    async ping() {
      const bytes = await free(dataDir)
      if (bytes < DISK_BOUNDS.freeBytes) throw new RangeError(`${bytes} bytes are free in ${dataDir}`)
    },
  }
}

async function freeBytes(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir)
  return bavail * bsize
}
