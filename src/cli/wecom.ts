import { drain } from './drain.js'
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
    if (await drain(service, progress))
      process.stdout.write(
        `✓ 已同步 ${formatCount(contacts)} 位客户 · synchronised ${formatCount(contacts)} contacts\n`,
      )
  } finally {
    await service.close()
  }
}
