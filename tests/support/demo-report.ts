import { DemoReport } from '../../demo/demo-report.js'
import { computeEffect } from '../../src/domain/measures/newcombe.js'
import { parseInput } from '../../src/parse.js'

/** A report with every section filled, plausible figures, and one journey whose holdout is empty. */
export function buildDemoReport(overrides: Partial<DemoReport> = {}): DemoReport {
  const effectOf = (treated: number, x: number, holdout: number, y: number) =>
    computeEffect({ treated: { n: treated, x }, holdout: { n: holdout, x: y } })
  return parseInput(DemoReport, {
    seed: 1,
    days: 90,
    from: '2011-09-10T12:00:00.000Z',
    to: '2011-12-09T12:50:00.000Z',
    source: {
      rows: 541909,
      rowsWithoutCustomer: 135080,
      customers: 4372,
      orders: 22061,
      cancellations: 3836,
      adjustments: 3,
      duplicateRows: 5268,
      grossMinor: 1066668453,
      netMinor: 974774793,
      currency: 'GBP',
    },
    identity: {
      records: 9120,
      profiles: 4511,
      merges: 4380,
      conflicts: 37,
      precision: 5980 / 6012,
      recall: 5980 / 6133,
      truePairs: 6133,
      foundPairs: 6012,
      correctPairs: 5980,
    },
    tags: Object.fromEntries(
      TAGS.map((id, i) => [id, { profiles: Math.round(4511 / (i + 1)), coverage: Math.round(4511 / (i + 1)) / 4511 }]),
    ),
    stages: {
      order: ['prospect', 'new', 'active', 'loyal', 'dormant', 'lost'],
      atStart: { '(none)': 611, prospect: 402, new: 512, active: 1340, loyal: 388, dormant: 742, lost: 516 },
      atEnd: { prospect: 520, new: 498, active: 1702, loyal: 471, dormant: 690, lost: 630 },
      matrix: {
        '(none)': { new: 301, active: 220, prospect: 90 },
        prospect: { prospect: 330, new: 60, active: 12 },
        new: { new: 137, active: 290, dormant: 85 },
        active: { active: 930, loyal: 140, dormant: 270 },
        loyal: { loyal: 331, active: 57 },
        dormant: { active: 170, dormant: 335, lost: 237 },
        lost: { lost: 393, active: 23, prospect: 100 },
      },
    },
    journeys: {
      'welcome-7d-no-order': {
        entered: 402,
        heldOut: 41,
        changedArms: 0,
        planned: 890,
        created: 790,
        confirmed: 655,
        delivered: 641,
        suppressed: { cap: 64, exited: 12, quota: 24 },
        bought: 37,
        boughtHeldOut: 4,
        effect: effectOf(361, 33, 41, 4),
      },
      'dormant-vip': {
        entered: 118,
        heldOut: 12,
        changedArms: 0,
        planned: 212,
        created: 201,
        confirmed: 150,
        delivered: 149,
        suppressed: { cap: 9, not_a_contact: 2 },
        bought: 44,
        boughtHeldOut: 3,
        effect: effectOf(106, 41, 12, 3),
      },
      'new-customer-3d': {
        entered: 640,
        heldOut: 0,
        changedArms: 0,
        planned: 1700,
        created: 1650,
        confirmed: 1301,
        delivered: 1290,
        suppressed: {},
        bought: 120,
        boughtHeldOut: 0,
        effect: effectOf(640, 120, 0, 0),
      },
    },
    touches: {
      planned: 2802,
      byState: { delivered: 2080, suppressed: 111, expired: 535, unknown: 76 },
      byChannel: { wecom: 2100, coupon: 402, task: 300 },
      byReason: { cap: 73, exited: 12, quota: 24, not_a_contact: 2 },
    },
    tasks: Object.fromEntries(
      Array.from({ length: 20 }, (_, i) => [
        `guide-${String(i + 1).padStart(3, '0')}`,
        { open: i % 5, done: 30 - i, interested: i % 7, expired: i % 3 },
      ]),
    ),
    sandbox: {
      messages: 2080,
      doubled: 0,
      withoutTouch: 0,
      overCap: 0,
      inQuietHours: 0,
      refusedByQuota: 24,
      reads: 1402,
      replies: 166,
    },
    ...overrides,
  })
}

const TAGS = [
  'registered',
  'has_ordered',
  'wecom_contact',
  'repeat_buyer',
  'rfm_champions',
  'rfm_at_risk',
  'intent_high',
  'price_sensitive',
  'big_basket',
  'returns_often',
]
