type XmlValue = string | number | XmlFields
/** A number goes in bare, a text as CDATA, an object as nested elements, an array as the element repeated; `undefined` leaves it out. */
export type XmlFields = { [name: string]: XmlValue | readonly XmlValue[] | undefined }

export function toXml(fields: XmlFields): string {
  return `<xml>${elements(fields)}</xml>`
}

function elements(fields: XmlFields): string {
  let text = ''
  for (const name of Object.keys(fields)) {
    const value = fields[name]
    if (Array.isArray(value)) for (const one of value as readonly XmlValue[]) text += element(name, one)
    else if (value !== undefined) text += element(name, value as XmlValue)
  }
  return text
}

function element(name: string, value: XmlValue): string {
  return `<${name}>${content(value)}</${name}>`
}

function content(value: XmlValue): string {
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return `<![CDATA[${value.replaceAll(']]>', ']]]]><![CDATA[>')}]]>`
  return elements(value)
}
