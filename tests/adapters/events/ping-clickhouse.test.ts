import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { pingClickhouse } from '../../../src/adapters/events/ping-clickhouse.js'

let server: Server
let address: string
beforeEach(async () => {
  server = createServer((req, res) => {
    const { authorization = '' } = req.headers
    const login = Buffer.from(authorization.replace('Basic ', ''), 'base64').toString()
    res.statusCode = req.url === '/?query=SELECT+1' && login === 'siyu:p@ss' ? 200 : 403
    res.end('1\n')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  address = `127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  await new Promise((resolve) => server.close(resolve))
})

it('is content when ClickHouse takes user and password', async () => {
  await expect(pingClickhouse(`http://siyu:p%40ss@${address}`)).resolves.toBeUndefined()
})

it('says that it is refused, or not reached, without the password', async () => {
  await expect(pingClickhouse(`http://siyu:wrong@${address}`)).rejects.toThrow('HTTP 403')
  const away = pingClickhouse('http://siyu:p%40ss@127.0.0.1:1')
  await expect(away).rejects.toThrow('连不上')
  await expect(away).rejects.not.toThrow('p@ss')
})
