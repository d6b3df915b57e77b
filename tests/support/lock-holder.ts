/** Locks the data directory given, says `held` or why not, and lets go on SIGTERM. */
import { AppError } from '../../src/errors.js'
import { lockDataDir } from '../../src/app/data-dir.js'

try {
  const lock = await lockDataDir(process.argv[2]!)
  console.log('held')
  const waiting = setInterval(() => undefined, 60_000)
  process.once('SIGTERM', () => {
    clearInterval(waiting)
    void lock.release()
  })
} catch (err) {
  console.log(err instanceof AppError ? err.code : String(err))
  process.exitCode = 1
}
