import { createInProcessQuota } from '../../../../src/adapters/wecom/transport/quota-in-process.js'
import { wecomQuotaContract } from '../../../contracts/wecom-quota.js'

wecomQuotaContract('The quota in this process', async (clock) => {
  const store = createInProcessQuota(clock)
  return [store, store]
})
