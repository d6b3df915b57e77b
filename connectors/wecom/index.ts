import { contactRecord, defineConnector } from '../../src/connector.js'
import { ContactDetail, relationsOf } from './contacts.js'

export const wecom = defineConnector({
  name: 'wecom',
  payload: ContactDetail,
  toRecords: (detail, now) => {
    const relations = relationsOf(detail)
    return relations.length === 0 ? [] : [contactRecord(relations, now)]
  },
})
