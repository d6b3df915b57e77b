import { unitOf } from '../../random.js'

/** Which arm a person is in: by the hash of seed, journey and anchor, so every entry and every retry gives the same one. */
export function armOf(seed: number, journeyId: string, anchor: string, holdoutRatio: number): 'treated' | 'holdout' {
  return unitOf(seed, 'holdout', journeyId, anchor) < holdoutRatio ? 'holdout' : 'treated'
}
