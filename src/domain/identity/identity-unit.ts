import { hashKey } from '../../random.js'

/**
 * What owns events and statements for good: the identifier by which a record was found to be somebody's, or the profile
 * that one of our own records names. A unit never splits, so that merging people and parting them again rewrites nothing:
 * `identity_changes` says whose a unit is. Hashed, so that the event store spells out nobody's phone number for it.
 *
 * @param key - `linkKey` or `sharedKey` of the identifier
 */
export function identityUnit(key: string): string {
  return hashKey(16, 'unit', key)
}

/** The unit of what is known of a profile by its id alone. */
export function profileUnit(profileId: number): string {
  return `p${profileId}`
}
