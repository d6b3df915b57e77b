import { describeTenDays, RATIO } from './ten-days.js'

/** Connections break, callbacks go astray, clocks differ; and everything at once. */
describeTenDays([
  ['connections reset', [{ kind: 'reset', ratio: RATIO }]],
  ['doubled callbacks', [{ kind: 'callback_duplicate', ratio: RATIO }]],
  ['reordered callbacks', [{ kind: 'callback_reorder', ratio: RATIO }]],
  ['lost callbacks', [{ kind: 'callback_drop', ratio: RATIO }]],
  ['a platform 30 s ahead', [{ kind: 'clock_skew', ms: 30_000 }]],
  ['a platform 30 s behind', [{ kind: 'clock_skew', ms: -30_000 }]],
  [
    'all of them',
    [
      { kind: 'errcode', errcode: -1, ratio: RATIO },
      { kind: 'timeout', ratio: RATIO },
      { kind: 'lost_reply', ratio: RATIO },
      { kind: 'truncated', ratio: RATIO },
      { kind: 'malformed_json_warning', ratio: RATIO },
      { kind: 'html', ratio: RATIO },
      { kind: 'reset', ratio: RATIO },
      { kind: 'callback_duplicate', ratio: RATIO },
      { kind: 'callback_reorder', ratio: RATIO },
      { kind: 'callback_drop', ratio: RATIO },
      { kind: 'clock_skew', ms: 30_000 },
    ],
  ],
])
