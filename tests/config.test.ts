import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { loadConfig, type Config, type Env } from '../src/config.js'
import { ConfigError, type Problem } from '../src/errors.js'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'siyu-config-'))
})
afterAll(() => rm(dir, { recursive: true }))

async function load(text: string, env: Env = {}): Promise<Config> {
  const file = join(dir, 'service.yaml')
  await writeFile(file, text)
  return loadConfig({ file, env })
}

async function refusal(text: string, env: Env = {}): Promise<ConfigError> {
  try {
    await load(text, env)
  } catch (err) {
    if (err instanceof ConfigError) return err
    throw err
  }
  throw new Error('the configuration was accepted')
}

async function problemsOf(text: string, env: Env = {}): Promise<readonly Problem[]> {
  return (await refusal(text, env)).details['problems'] as readonly Problem[]
}

const BRAND = 'brand: { name: Test }\n'

describe('loadConfig', () => {
  it('accepts the shipped file without any environment variable', async () => {
    const config = await loadConfig({ file: 'config/service.yaml', env: {} })
    expect(config).toMatchObject({
      brand: { currency: 'CNY', timeZone: 'Asia/Shanghai', locale: 'zh' },
      http: { host: '127.0.0.1', port: 8080, apiKeys: [] },
      documents: { kind: 'sqlite' },
      events: { kind: 'chdb' },
      jobs: { kind: 'in-process' },
      sending: { mode: 'allow_list', allowList: [] },
    })
  })

  it('reads .env beside it, under what the environment says, empty values aside', async () => {
    const file = join(dir, '.env')
    const text = `${BRAND}http: { apiKeys: ["\${KEY}", "\${OTHER}"] }\n`
    await writeFile(file, 'KEY=0123456789abcdef-of-the-file\nOTHER=fedcba9876543210-of-the-file\n')
    try {
      const { http } = await load(text, { OTHER: 'fedcba9876543210-of-the-shell', KEY: '' })
      expect(http.apiKeys).toEqual(['0123456789abcdef-of-the-file', 'fedcba9876543210-of-the-shell'])
    } finally {
      await rm(file)
    }
    expect((await problemsOf(text)).map((p) => p.message).join()).toContain('KEY')
  })

  it('ships a file that says what the defaults say', async () => {
    const shipped = await loadConfig({ file: 'config/service.yaml', env: {} })
    expect(shipped).toEqual({ ...(await load(BRAND)), brand: shipped.brand })
  })

  it('fills variables and defaults, also into numbers, and drops empty keys', async () => {
    const config = await load(
      `${BRAND}http: { host: "\${HOST:-127.0.0.1}", port: "\${PORT}", apiKeys: ["\${KEY}", "\${OLD_KEY:-}"] }\ndataDir: \${HOME_DIR}/x-\${N:-1}\n`,
      { PORT: '9000', KEY: 'k'.repeat(16), HOME_DIR: '/data', HOST: '' },
    )
    expect(config.http).toEqual({ host: '127.0.0.1', port: 9000, apiKeys: ['k'.repeat(16)] })
    expect(config.dataDir).toBe('/data/x-1')
  })

  it('reports a variable that is not set once, with its name and line', async () => {
    const text = `${BRAND}documents:\n  kind: mongo\n  url: \${MY_MONGO}\nhttp: { port: "\${MY-PORT}" }\n`
    expect(await problemsOf(text)).toMatchObject([
      {
        line: 4,
        path: 'documents.url',
        message: expect.stringContaining('environment variable MY_MONGO is not set') as unknown,
        hint: expect.stringContaining('set MY_MONGO, or give a default: ${MY_MONGO:-default}') as unknown,
      },
      {
        line: 5,
        path: 'http.port',
        message: expect.stringContaining('${MY-PORT} names no environment variable') as unknown,
      },
    ])
  })

  it('switches each store to the service named in the environment', async () => {
    const env = {
      MONGODB_URI: 'mongodb://a:1,b:2/shop?replicaSet=rs0',
      CLICKHOUSE_URL: 'http://ch:8123',
      REDIS_URL: 'redis://r:6379',
    }
    expect(await load(BRAND, env)).toMatchObject({
      documents: { kind: 'mongo', url: env.MONGODB_URI, database: 'shop' },
      events: { kind: 'clickhouse', url: env.CLICKHOUSE_URL, database: 'siyu' },
      jobs: { kind: 'bull', url: env.REDIS_URL, prefix: 'siyu', shards: 1 },
    })
  })

  it('keeps what the file says about the same service', async () => {
    const text = `${BRAND}documents: { kind: mongo, url: "mongodb://old", database: mine, prefix: p_ }\n`
    expect((await load(text, { MONGODB_URI: 'mongodb://new/other' })).documents).toEqual({
      kind: 'mongo',
      url: 'mongodb://new/other',
      database: 'mine',
      prefix: 'p_',
    })
  })

  it('keeps how jobs run, wherever they queue', async () => {
    const text = `${BRAND}jobs: { kind: in-process, shards: 4, concurrency: { journeys: "3" } }\n`
    const expected = { shards: 4, concurrency: { journeys: 3, send: 1, wecom: 8 } }
    expect((await load(text)).jobs).toEqual({ kind: 'in-process', ...expected })
    const url = 'redis://r:6379'
    expect((await load(text, { REDIS_URL: url })).jobs).toEqual({ kind: 'bull', url, prefix: 'siyu', ...expected })
    const wrong = `${BRAND}jobs: { kind: in-process, shards: 65, concurrency: { send: 0, ingest: 2 } }\n`
    const paths = (await problemsOf(wrong)).map((p) => p.path)
    expect(paths.sort()).toEqual(['jobs.concurrency.ingest', 'jobs.concurrency.send', 'jobs.shards'])
  })

  it('ignores store variables that are empty', async () => {
    expect((await load(BRAND, { MONGODB_URI: '' })).documents).toEqual({ kind: 'sqlite' })
  })

  it('names the variable whose URL is wrong, without its value', async () => {
    const problems = await problemsOf(BRAND, {
      MONGODB_URI: 'http://user:hunter2@x',
      REDIS_URL: 'x',
      CLICKHOUSE_URL: 'tcp://y',
    })
    expect(problems.map((p) => p.path)).toEqual(['MONGODB_URI', 'CLICKHOUSE_URL', 'REDIS_URL'])
    expect(JSON.stringify(problems)).not.toContain('hunter2')
  })

  it('reports all problems at once with path, line and fix', async () => {
    const text = [
      'brand: { name: Test, currency: RMB, timeZone: Asia/Shanhai }',
      'http:',
      '  hsot: 0.0.0.0',
      '  port: 70000',
      'sending: { mode: on }',
      'jobs: { kind: redis }',
    ].join('\n')
    const problems = await problemsOf(text)
    expect(problems.map(({ line, path }) => `${line} ${path}`)).toEqual([
      '1 brand.currency',
      '1 brand.timeZone',
      '4 http.port',
      '3 http.hsot',
      '6 jobs.kind',
      '5 sending.mode',
    ])
    expect(problems.find((p) => p.path === 'http.hsot')?.hint).toContain('did you mean "host"?')
    expect(problems.find((p) => p.path === 'http.port')?.message).toContain('70000')
    expect(problems.every((p) => p.hint !== undefined && p.file !== undefined)).toBe(true)
  })

  it('says that the brand is missing', async () => {
    expect(await problemsOf('dataDir: x\n')).toMatchObject([{ path: 'brand', line: 1 }])
  })

  it.each([
    ['written out', 'SuperSecretValue', {}],
    ['from the environment', '${LEAK}', { LEAK: 'SuperSecretValue' }],
  ])('never quotes a secret %s', async (_what, text, env) => {
    const yaml =
      `${BRAND}wecom:\n  baseUrl: ftp://me:${text}@x\n  corpId: c\n  agentId: 1\n  secret: [${JSON.stringify(text)}]\n` +
      `  callback: { token: 12345678, encodingAesKey: "${text}" }\nhttp: { apiKeys: ["${text.slice(0, 15)}"] }\n`
    const { message } = await refusal(yaml, env)
    expect(message).toContain('wecom.callback.encodingAesKey')
    expect(message).not.toContain('SuperSecret')
    expect(message).not.toContain('12345678')
  })

  it('turns a file that is missing or no YAML into a ConfigError', async () => {
    await expect(loadConfig({ file: join(dir, 'none.yaml'), env: {} })).rejects.toBeInstanceOf(ConfigError)
    expect(await problemsOf('brand:\n\tname: x\n')).toMatchObject([{ line: 2 }])
  })
})
