import { Liquid } from 'liquidjs'
import type { Content } from './content.js'

const liquid = new Liquid({ strictVariables: true, strictFilters: true, ownPropertyOnly: true })

/** The words of a content. @throws when its text names a variable that is not given, or is no Liquid template */
export function renderContent(content: Content, variables: { brand: string; coupon?: string }): string {
  return liquid.parseAndRenderSync(content.text, variables) as string
}

/** Characters of a remark. @see developer.work.weixin.qq.com/document/path/92115 (read 2026-08) */
const REMARK_MAX = 20

/** A remark on a customer, cut to what WeCom takes. */
export function renderRemark(template: string, variables: { name: string; way: string }): string {
  const text = (liquid.parseAndRenderSync(template, variables) as string).trim()
  return [...text].slice(0, REMARK_MAX).join('')
}
