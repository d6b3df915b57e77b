import { defineConnector } from '../../src/connector.js'
import { Sighting, sightingToRecord } from './map.js'
import { type ChatRules, createTopicMatcher } from './rules.js'

export function wechaty(rules: ChatRules) {
  const topicsOf = createTopicMatcher(rules)
  return defineConnector({
    name: 'wechaty',
    payload: Sighting,
    toRecords: (sighting) => {
      const record = sightingToRecord(sighting, topicsOf)
      return record === undefined ? [] : [record]
    },
  })
}
