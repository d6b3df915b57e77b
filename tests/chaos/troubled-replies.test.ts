import { describeTenDays, RATIO } from './ten-days.js'

/** The platform answers wrongly, late or not at all. */
describeTenDays([
  ['no trouble', []],
  ['errors: busy', [{ kind: 'errcode', errcode: -1, ratio: RATIO }]],
  ['errors: token expired', [{ kind: 'errcode', errcode: 42001, path: '/cgi-bin/externalcontact/*', ratio: RATIO }]],
  ['errors: too many at once', [{ kind: 'errcode', errcode: 45033, ratio: RATIO }]],
  ['time-outs', [{ kind: 'timeout', ratio: RATIO }]],
  ['replies lost after success', [{ kind: 'lost_reply', ratio: RATIO }]],
  ['slow replies', [{ kind: 'slow', ms: 100, ratio: RATIO }]],
  ['truncated JSON', [{ kind: 'truncated', ratio: RATIO }]],
  ['warnings of malformed JSON', [{ kind: 'malformed_json_warning', ratio: RATIO }]],
  ['HTML from a proxy', [{ kind: 'html', ratio: RATIO }]],
])
