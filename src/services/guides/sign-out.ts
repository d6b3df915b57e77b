import type { Deps } from '../runtime/deps.js'

const EVERYBODY = 'sign-out'
const of = (userId: string) => `${EVERYBODY}:${userId.toLowerCase()}`

/** Ends the sessions that a guide, or everybody, has now beside her chats, on every device: a phone was lost, or somebody left. */
export async function signOut({ docs, clock }: Pick<Deps, 'docs' | 'clock'>, userId?: string): Promise<void> {
  const id = userId === undefined ? EVERYBODY : of(userId)
  await docs.meta.updateEach([{ id, update: { $max: { at: clock.now() } }, upsert: true }])
}

/** Whether a session that began at `since` was ended, or its guide has left the company. */
export async function isSignedOut(
  { docs }: Pick<Deps, 'docs'>,
  { userId, since }: { userId: string; since: Date },
): Promise<boolean> {
  const ends = await docs.meta.getMany([EVERYBODY, of(userId)])
  if (ends.some(({ at }) => at !== undefined && at >= since)) return true
  return (await docs.wecomMembers.get(userId))?.state === 'left'
}
