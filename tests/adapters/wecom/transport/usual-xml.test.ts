import { describe, expect, it } from '@jest/globals'
import { XMLParser } from 'fast-xml-parser'
import { readUsualXml } from '../../../../src/adapters/wecom/transport/usual-xml.js'
import { intOf } from '../../../../src/random.js'

/** As `callback.ts` sets it up. */
const parser = new XMLParser({ ignoreAttributes: true, parseTagValue: false, processEntities: false })
const parsed = (xml: string) => (parser.parse(xml) as { xml: unknown }).xml

describe('reading the XML that WeCom writes', () => {
  it('gives what the whole parser gives, for messages of every shape', () => {
    for (let n = 0; n < 500; n++) {
      const xml = `<xml>${randomElements(n, 0)}</xml>`
      expect(readUsualXml(xml)).toEqual(parsed(xml))
    }
  })

  it('leaves everything else to the whole parser', () => {
    for (const xml of [
      '<xml><A>1</A></xml >',
      '<xml>\n<A>1</A>\n</xml>',
      '<xml><A b="1">1</A></xml>',
      '<xml><A>a &amp; b</A></xml>',
      '<xml><A> 1</A></xml>',
      '<xml><A><![CDATA[1]]]]><![CDATA[>]]></A></xml>',
      '<xml><A><![CDATA[a]b]]></A></xml>',
      '<xml><A>1<B>2</B></A></xml>',
      '<xml><A>1</B></xml>',
      '<xml><A><B>1</B></xml>',
      '<xml></A></xml>',
      '<xml><!-- --><A>1</A></xml>',
      '<xml><__proto__>1</__proto__></xml>',
      '<xml><constructor>1</constructor></xml>',
      '<A>1</A>',
      '',
    ])
      expect(readUsualXml(xml)).toBeUndefined()
  })
})

const TEXTS = ['', '1', '导购 001', 'https://shop.example/?a=1', '0012', 'x\ny']

function randomElements(seed: number, depth: number): string {
  const draw = (below: number, ...what: (string | number)[]) => intOf(below, 'xml', seed, depth, ...what)
  return Array.from({ length: 1 + draw(4, 'count') }, (_, i) => {
    const name = ['UserID', 'ChangeType', 'Item', 'A_1'][draw(4, 'name', i)]!
    if (depth < 3 && draw(4, 'nested', i) === 0) return `<${name}>${randomElements(seed * 7 + i, depth + 1)}</${name}>`
    const text = TEXTS[draw(TEXTS.length, 'text', i)]!
    return draw(2, 'cdata', i) === 0 || /[<&]/.test(text)
      ? `<${name}><![CDATA[${text}]]></${name}>`
      : `<${name}>${text}</${name}>`
  }).join('')
}
