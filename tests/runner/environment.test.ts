import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it } from '@jest/globals'
import { textOf } from '../support/run-siyu.js'

it('a suite that does not close what it opened fails by name, though its tests pass, and the run ends by itself', async () => {
  const child = spawn(process.execPath, [
    ...['--no-warnings', '--experimental-vm-modules', 'node_modules/jest/bin/jest.js', '--runInBand'],
    ...['--testMatch=<rootDir>/tests/runner/fixtures/leaves-open.ts', '--globalSetup=', '--globalTeardown='],
    ...['--testEnvironmentOptions', JSON.stringify({ looks: 20, endWithinMs: 500 })],
  ])
  const err = textOf(child.stderr)
  const [code] = (await once(child, 'close')) as [number | null]
  expect(code).toBe(1)
  expect(err()).toContain('FAIL tests/runner/fixtures/leaves-open.ts')
  expect(err()).toContain('this suite does not close what it opened: 1 × TCPServerWrap')
  expect(err()).toMatch(/^NOT ENDED: .* this run still holds .*TCPServerWrap/m)
})
