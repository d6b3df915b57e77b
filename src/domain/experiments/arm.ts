import { unitOf } from '../../random.js'

export type ArmName = 'treated' | 'holdout'

/**
 * Which arm a person is in. Whoever was in the journey before stays in the arm of her first entry, whatever has become of the
 * ratio, of the anchor, or of the profiles that are she; of two people who are found to be one, that of the earlier.
 *
 * @param before - her runs in this journey, any order; of two that began at one instant the one with the lower id counts
 */
export function armFor(
  before: readonly { _id: string; arm: ArmName; enteredAt: Date }[],
  draw: () => ArmName,
): ArmName {
  const [first] = [...before].sort((a, b) => a.enteredAt.getTime() - b.enteredAt.getTime() || (a._id < b._id ? -1 : 1))
  return first?.arm ?? draw()
}

/** The arm of somebody who comes for the first time: by the hash of seed, journey and anchor, so every retry gives the same one. */
export function armOf(seed: number, journeyId: string, anchor: string, holdoutRatio: number): ArmName {
  return unitOf(seed, 'holdout', journeyId, anchor) < holdoutRatio ? 'holdout' : 'treated'
}
