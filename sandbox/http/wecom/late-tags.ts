import { openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'

type Before = { tagIds: string[]; untilMs: number }

/**
 * Some developers see tags just marked only later (`behaviour.tagsShowLateMs`): reads go on showing what a relation had
 * before. Without the switch nothing is kept.
 */
export function rememberMark(world: World, userId: string, externalUserId: string, now: Date): void {
  const lateMs = world.scenario.behaviour.tagsShowLateMs
  if (lateMs === 0) return
  const tagIds = tagsShown(world, userId, externalUserId, now)
  marks(world).put(`${userId}/${externalUserId}`, { tagIds, untilMs: now.getTime() + lateMs })
}

/** The tags that reads show at `now`. @param held - those it really has, if known */
export function tagsShown(world: World, userId: string, externalUserId: string, now: Date, held?: string[]): string[] {
  if (world.scenario.behaviour.tagsShowLateMs > 0) {
    const before = marks(world).get(`${userId}/${externalUserId}`)
    if (before !== undefined && now.getTime() < before.untilMs) return before.tagIds
  }
  if (held !== undefined) return held
  return world.state
    .all<{ tag_id: string }>(
      'SELECT tag_id FROM relation_tag WHERE user_id = ? AND external_user_id = ? ORDER BY tag_id',
      userId,
      externalUserId,
    )
    .map((row) => row.tag_id)
}

function marks(world: World) {
  return openObjects<Before>(world.state, world.seed, 'late_mark')
}
