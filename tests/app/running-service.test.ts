import { expect, it } from '@jest/globals'
import { loadConfig } from '../../src/config.js'
import { isAlone, isEmbedded } from '../../src/app/running-service.js'

it.each([
  [{}, true, true],
  [{ CLICKHOUSE_URL: 'http://127.0.0.1:1' }, true, true],
  // Two hosts with an event store each share the leases and claims that are in the documents.
  [{ MONGODB_URI: 'mongodb://127.0.0.1:1/x' }, false, true],
  [{ MONGODB_URI: 'mongodb://127.0.0.1:1/x', CLICKHOUSE_URL: 'http://127.0.0.1:1' }, false, false],
])('with %j a process is alone: %s; it holds its data directory: %s', async (env, alone, embedded) => {
  const config = await loadConfig({ file: 'config/service.yaml', env })
  expect([isAlone(config), isEmbedded(config)]).toEqual([alone, embedded])
})
