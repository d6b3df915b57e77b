import { openService, type ServiceOptions } from './open-service.js'
import { createProgress } from './progress.js'
import { formatCount } from './report-text.js'

/** `siyu wecom sync`: pulls every contact of every member who serves customers. */
export async function syncWecomCommand(options: ServiceOptions): Promise<void> {
  const service = await openService(options)
  const progress = createProgress({ stream: process.stderr, locale: service.config.brand.locale })
  try {
    progress.start('读取客户 · reading contacts', 0)
    const { contacts } = await service.call('wecom/sync', {}, (done) => progress.set(done))
    progress.done()
    let total = 0
    await service.drain((left) => {
      if (total === 0 && left > 0) progress.start('处理 · working off', (total = left))
      progress.set(total - left)
    })
    progress.done()
    process.stdout.write(`✓ 已同步 ${formatCount(contacts)} 位客户 · synchronised ${formatCount(contacts)} contacts\n`)
  } finally {
    await service.close()
  }
}
