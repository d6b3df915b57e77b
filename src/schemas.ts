import type { z } from 'zod'
import { ServiceConfig } from './config.js'

/** Every kind of file that people edit. `npm run schemas` writes `schemas/<name>.schema.json` for editors from it. */
export const fileSchemas: readonly { name: string; schema: z.ZodType }[] = [{ name: 'service', schema: ServiceConfig }]
