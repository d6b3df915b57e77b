import { createServer, type Server } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from '@jest/globals'
import { countRedisJobs } from '../../../src/adapters/queue/count-redis-jobs.js'

let server: Server | undefined
afterEach(async () => {
  await new Promise<void>((resolve) => (server === undefined ? resolve() : void server.close(() => resolve())))
  server = undefined
})

it('counts the jobs of each group', async () => {
  const counts = new Map([
    ['siyu:jobs-send:wait', 3],
    ['siyu:jobs-send:failed', 2],
    ['siyu:jobs-wecom:active', 1],
  ])
  server = createServer((socket) => {
    socket.on('data', (data: Buffer) => {
      // Commands come as arrays of bulk strings, several at a time.
      for (const [command] of data.toString().matchAll(/\*\d+\r\n(\$\d+\r\n[^\r]*\r\n)+/g)) {
        const [name, key] = [...command.matchAll(/\$\d+\r\n([^\r]*)\r\n/g)].map(([, word]) => word!)
        if (name === 'info') socket.write('$11\r\nloading:0\r\n\r\n')
        else if (name === 'llen' || name === 'zcard') socket.write(`:${counts.get(key!) ?? 0}\r\n`)
        else socket.write('+OK\r\n')
      }
    })
  })
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const none = { waiting: 0, active: 0, delayed: 0, failed: 0 }
  expect(await countRedisJobs(`redis://127.0.0.1:${port}`, 'siyu')).toEqual({
    ingest: none,
    refresh: none,
    journeys: none,
    send: { ...none, waiting: 3, failed: 2 },
    wecom: { ...none, active: 1 },
  })
})

it('says that it is not reached, without the password', async () => {
  const away = countRedisJobs('redis://:hidden@127.0.0.1:1', 'siyu')
  await expect(away).rejects.toThrow('连不上')
  await expect(away).rejects.not.toThrow('hidden')
})
