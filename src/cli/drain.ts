import type { Service } from '../app/open-service.js'
import type { Progress } from '../print/progress.js'
import { bilingual } from '../said.js'

/** Waits under a bar until everything handed over has been worked off; resolves to false when it was interrupted before. */
export async function drain(service: Service, progress: Progress): Promise<boolean> {
  const words = bilingual(service.config.brand.locale)
  let total = 0
  let left = 0
  await service.drain((waiting) => {
    left = waiting
    if (total === 0 && left > 0) progress.start(words('处理', 'working off'), (total = left))
    progress.set(total - left)
  })
  if (left === 0) progress.done()
  else {
    progress.drop()
    process.stdout.write(
      `${words(
        `已中断：收下的都在，还有 ${left} 批待处理，重新执行或启动服务后继续`,
        `interrupted: all is kept, ${left} batches are left for the next run or the service`,
      )}\n`,
    )
    process.exitCode = 130
  }
  return left === 0
}
