import { Liquid } from 'liquidjs'
import type { Content } from '../domain/touches/content.js'

const liquid = new Liquid({ strictVariables: true, strictFilters: true, ownPropertyOnly: true })

/** The words of a content. @throws when its text names a variable that is not given, or is no Liquid template */
export function renderContent(content: Content, variables: { brand: string; coupon?: string }): string {
  return liquid.parseAndRenderSync(content.text, variables) as string
}
