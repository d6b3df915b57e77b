import { lookAt } from '../../domain/touches/policy.js'
import { messageOf } from '../../errors.js'
import { DAY_MS } from '../../time.js'
import type { DispatchDoc } from '../../stored/touches.js'

/** A platform that has not said for this long what became of a dispatch never will, nor does what fails for so long. */
const GIVE_UP_MS = 14 * DAY_MS

type Silence = {
  silent: NonNullable<DispatchDoc['silent']>
  /** When it is asked next. */
  nextAt: Date
  /** Whether it has been silent for too long to go on asking. */
  isOver: boolean
}

/** What the platform was asked about a dispatch, and has refused to tell; or what of ours fails with it. */
export function noteSilence({ silent }: DispatchDoc, err: unknown, now: Date): Silence {
  const since = silent?.since ?? now
  return {
    silent: { since, why: messageOf(err) },
    nextAt: lookAt(new Date(now.getTime() + 1)),
    isOver: now.getTime() - since.getTime() >= GIVE_UP_MS,
  }
}
