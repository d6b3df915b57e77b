import type { z } from 'zod'
import { CsvMapping } from '../../connectors/csv/mapping.js'
import { ChatRules } from '../../connectors/wechaty/rules.js'
import { ServiceConfig } from '../config.js'
import { EventCatalogue } from '../domain/events/catalogue.js'
import { IdentityConfig } from '../domain/identity/config.js'
import { Journey } from '../domain/journeys/definition.js'
import { SegmentFile } from '../domain/segments/definition.js'
import { Lifecycle, TagFile } from '../domain/tags/definition.js'
import { JoinWayFile, LinkFile, WayFile } from '../domain/ways/definition.js'
import { ContentFile, CouponFile } from '../domain/content/content.js'
import { Policy } from '../domain/touches/policy.js'
import { WelcomeFile } from '../domain/wecom/welcome.js'

/** Every kind of file that people edit. `npm run schemas` writes `schemas/<name>.schema.json` for editors from it. */
export const fileSchemas: readonly { name: string; schema: z.ZodType }[] = [
  { name: 'service', schema: ServiceConfig },
  { name: 'identity', schema: IdentityConfig },
  { name: 'lifecycle', schema: Lifecycle },
  { name: 'policy', schema: Policy },
  { name: 'events', schema: EventCatalogue },
  { name: 'segments', schema: SegmentFile },
  { name: 'coupons', schema: CouponFile },
  { name: 'content', schema: ContentFile },
  { name: 'welcome', schema: WelcomeFile },
  { name: 'tags', schema: TagFile },
  { name: 'journey', schema: Journey },
  { name: 'source', schema: CsvMapping },
  { name: 'wechaty', schema: ChatRules },
  { name: 'wecom-ways', schema: WayFile },
  { name: 'wecom-join-ways', schema: JoinWayFile },
  { name: 'wecom-links', schema: LinkFile },
]
