/**
 * WeCom and WeChat echo values, request ids and our address in errmsg: keeps the words, drops what could be an id, a number, a
 * token or an address.
 */
export function cleanErrmsg(errmsg: string): string {
  return errmsg
    .replace(/,?\s*(hints?:|rid:|from ip:|more info at).*$/is, '')
    .replace(/[A-Za-z0-9_-]{24,}|\d{7,}|\d{1,3}(\.\d{1,3}){3}/g, '…')
    .slice(0, 120)
}
