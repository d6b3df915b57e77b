import type { z } from 'zod'
import { ServiceConfig } from '../config.js'
import { kindNames, kindOf } from '../services/definitions/kinds.js'
import { connectors } from './connectors.js'

/** Every kind of file that people edit. `npm run schemas` writes `schemas/<name>.schema.json` for editors from it. */
export const fileSchemas: readonly { name: string; schema: z.ZodType }[] = [
  { name: 'service', schema: ServiceConfig },
  ...kindNames.map(kindOf).map(({ schemaName, schema }) => ({ name: schemaName, schema })),
  ...Object.values(connectors).map(({ schemaName, schema }) => ({ name: schemaName, schema })),
]
