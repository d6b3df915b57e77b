import type { Service, ServiceOptions } from '../app/open-service.js'

/** Opens the service, wherever it is, for the time of `work`. What the stores are made of is loaded here and no earlier. */
export async function withService<T>(options: ServiceOptions, work: (service: Service) => Promise<T>): Promise<T> {
  const { openService } = await import('../app/open-service.js')
  const service = await openService(options)
  try {
    return await work(service)
  } finally {
    await service.close()
  }
}
