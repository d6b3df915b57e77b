import { createServer, type Server } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from '@jest/globals'
import { pingRedis } from '../../../src/adapters/queue/ping-redis.js'

let server: Server | undefined
afterEach(async () => {
  await new Promise<void>((resolve) => (server === undefined ? resolve() : void server.close(() => resolve())))
  server = undefined
})

it('is content when something answers as Redis does', async () => {
  server = createServer((socket) => {
    socket.on('data', (data: Buffer) => {
      const command = data.toString().toLowerCase()
      socket.write(command.includes('info') ? '$11\r\nloading:0\r\n\r\n' : '+PONG\r\n')
    })
  })
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await expect(pingRedis(`redis://127.0.0.1:${port}`)).resolves.toBeUndefined()
})

it('says that it is not reached, without the password', async () => {
  const away = pingRedis('redis://:hidden@127.0.0.1:1')
  await expect(away).rejects.toThrow('连不上')
  await expect(away).rejects.not.toThrow('hidden')
})
