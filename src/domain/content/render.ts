import { Liquid } from 'liquidjs'
import { TEMPLATE_BOUNDS } from '../../bounds.js'
import { said } from '../../said.js'
import type { Content } from './content.js'

const liquid = new Liquid({
  strictVariables: true,
  strictFilters: true,
  ownPropertyOnly: true,
  // Looked up here and nowhere else: there is no file that a template could name.
  templates: {},
  parseLimit: TEMPLATE_BOUNDS.templateChars,
  memoryLimit: TEMPLATE_BOUNDS.work,
  renderLimit: TEMPLATE_BOUNDS.renderMs,
})
// They bring in other templates, or make text that no limit counts.
for (const tag of ['render', 'include', 'layout', 'block', 'capture', 'tablerow']) delete liquid.tags[tag]

/** The words of a content. @throws when its text names a variable that is not given, or is no Liquid template */
export function renderContent(content: Content, variables: { brand: string; coupon?: string }): string {
  return render(content.text, variables)
}

/** Where the link of a content leads; `undefined` without one, or for a brand without a site. */
export function linkOf(
  { link }: Content,
  linkBase: string | undefined,
): { title: string; url: string; description?: string } | undefined {
  if (link === undefined || linkBase === undefined) return undefined
  const { title, path, description } = link
  return { title, url: `${linkBase}${path}`, ...(description !== undefined && { description }) }
}

/** Characters of a remark. @see developer.work.weixin.qq.com/document/path/92115 (read 2026-08) */
const REMARK_MAX = 20

/** A remark on a customer, cut to what WeCom takes. @throws as `renderContent` */
export function renderRemark(template: string, variables: { name: string; way: string }): string {
  return [...render(template, variables).trim()].slice(0, REMARK_MAX).join('')
}

function render(template: string, variables: object): string {
  const text = liquid.parseAndRenderSync(template, variables) as string
  if (text.length > TEMPLATE_BOUNDS.textChars)
    throw new RangeError(
      said(
        `写出来有 ${text.length} 个字符，最多 ${TEMPLATE_BOUNDS.textChars}`,
        `it becomes ${text.length} characters of at most ${TEMPLATE_BOUNDS.textChars}`,
      ),
    )
  return text
}
