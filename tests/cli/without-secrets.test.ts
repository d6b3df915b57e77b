import { readFile, rm, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { makeSite, runSiyu } from '../support/run-siyu.js'

/** As a shell that nobody has told them: one that an accident is looked into from. */
const SECRETS = 'wecom: { corpId: "${WECOM_CORP_ID}", agentId: "${WECOM_AGENT_ID}", secret: "${WECOM_SECRET}" }'

let site: Awaited<ReturnType<typeof makeSite>>
beforeAll(async () => {
  site = await makeSite(SECRETS)
  await writeFile(
    site.path('people.csv'),
    'record_id,registered_at,member_id,phone\n1,2026-01-01T08:00:00Z,17,\n2,2026-01-01T08:00:00Z,,N/A\n',
  )
  await writeFile(site.path('nobody.csv'), 'record_id,registered_at,member_id,phone\n3,2026-01-01T08:00:00Z,null,\n')
  for (const name of ['people', 'nobody'])
    await writeFile(
      site.path(`${name}.yaml`),
      [
        'rows: people',
        'source: members',
        `file: ${name}.csv`,
        'timeZone: Asia/Shanghai',
        'timestampFormat: iso',
        'columns: { recordId: record_id, observedAt: registered_at }',
        'identifiers: { member_id: member_id, phone: phone }',
        'traits: {}',
        'event: registered',
        '',
      ].join('\n'),
    )
})
afterAll(() => rm(site.dir, { recursive: true, force: true }))

const siyu = (...args: string[]) => runSiyu([...args, '--config', site.config])

describe('siyu in a shell without secrets', () => {
  it('refuses what needs them, by name, and takes them from .env beside the configuration', async () => {
    const refused = await siyu('import', site.path('people.yaml'))
    expect(refused).toMatchObject({ code: 1, out: '' })
    expect(refused.err).toContain('WECOM_SECRET')

    await writeFile(site.path('.env'), 'WECOM_CORP_ID=ww1\nWECOM_AGENT_ID=1000002\nWECOM_SECRET=from-the-file\n')
    const imported = await siyu('import', site.path('people.yaml'))
    await rm(site.path('.env'))
    expect(imported).toMatchObject({ code: 0 })
    // One row of two is in: said as such, and not as a success.
    expect(imported.out).toMatch(/^⚠ 1 record.* imported; 1 row/m)
  })

  it('says ✗ and ends with 1 where no row of a file is anybody', async () => {
    await writeFile(site.path('.env'), 'WECOM_CORP_ID=ww1\nWECOM_AGENT_ID=1000002\nWECOM_SECRET=from-the-file\n')
    const imported = await siyu('import', site.path('nobody.yaml'))
    await rm(site.path('.env'))
    expect(imported).toMatchObject({ code: 1 })
    expect(imported.out).toMatch(/^✗ nothing was imported/m)
  })

  it('answers what is stored: how things stand, and why', async () => {
    const status = await siyu('status')
    expect(status).toMatchObject({ code: 0, err: '' })
    expect(status.out).toMatch(/people +1$/m)
    expect(await siyu('why', '--member', '17')).toMatchObject({ code: 0, err: '' })
    const nobody = await siyu('why', '--member', 'nobody')
    expect(nobody.code).toBe(1)
    expect(nobody.err).toContain('nobody')
    expect(nobody.err).not.toContain('WECOM')
  })

  it('stops every send, says that nothing is on its way, and lets them go again', async () => {
    const stopped = await siyu('send', 'stop')
    expect(stopped).toMatchObject({ code: 0, err: '' })
    expect(stopped.out).toMatch(/^■ sending is stopped/m)
    expect(stopped.out).toContain('✓ every process has stopped, nothing is on its way')
    expect((await siyu('send', 'status')).out).toMatch(/^■ sending is stopped/m)
    expect((await siyu('send', 'resume')).out).toMatch(/^▶ sending is not stopped/m)
  })

  it('stops every send where the brand itself cannot be read', async () => {
    const config = await readFile(site.config, 'utf8')
    await writeFile(site.config, config.replace('currency: GBP', 'currency: POUNDS'))
    try {
      const stopped = await siyu('send', 'stop')
      expect(stopped).toMatchObject({ code: 0 })
      expect((await siyu('send', 'status')).out).toMatch(/^■/m)
      // Everything else asks for it, by name.
      expect((await siyu('status')).err).toContain('brand.currency')
    } finally {
      await writeFile(site.config, config)
    }
    expect((await siyu('send', 'resume')).code).toBe(0)
  })
})
