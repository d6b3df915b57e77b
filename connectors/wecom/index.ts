import { defineConnector } from '../../src/connector.js'
import { ContactDetail, contactToRecord } from './map.js'

export const wecom = defineConnector({
  name: 'wecom',
  payload: ContactDetail,
  toRecords: (detail, now) => [contactToRecord(detail, now)],
})
