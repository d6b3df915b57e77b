import { STAGE_TAG } from '../src/domain/rules/clauses/stage.js'
import type { DemoReport } from './demo-report.js'

const NONE = '(none)'

/** Figures of a report that must agree and do not, each in one line; none when all do. */
export function findSumProblems(report: DemoReport): string[] {
  const { identity, stages, journeys, touches, tags } = report
  const problems: string[] = []
  const agree = (what: string, a: number, withWhat: string, b: number) => {
    if (a !== b) problems.push(`${what} is ${a}, ${withWhat} is ${b}`)
  }
  const staged = sum(stages.atEnd)
  agree('identity.profiles', identity.profiles, 'the sum of stages.atEnd', staged)
  agree('identity.profiles', identity.profiles, 'the sum of stages.atStart', sum(stages.atStart))
  for (const [stage, n] of Object.entries(stages.atStart))
    agree(`stages.atStart.${stage}`, n, `the sum of stages.matrix.${stage}`, sum(stages.matrix[stage] ?? {}))
  for (const [stage, n] of Object.entries(stages.atEnd)) {
    const came = Object.values(stages.matrix).reduce((all, row) => all + (row[stage] ?? 0), 0)
    agree(`stages.atEnd.${stage}`, n, `the column of stages.matrix`, came)
  }
  if (tags[STAGE_TAG] !== undefined)
    agree(`tags.${STAGE_TAG}`, tags[STAGE_TAG].profiles, 'people with a stage', staged - (stages.atEnd[NONE] ?? 0))
  for (const [id, { profiles, coverage }] of Object.entries(tags)) {
    if (profiles > identity.profiles) problems.push(`tags.${id} has ${profiles} of ${identity.profiles} profiles`)
    agree(`tags.${id}.coverage`, coverage, 'its share', identity.profiles === 0 ? 0 : profiles / identity.profiles)
  }
  agree('touches.planned', touches.planned, 'the sum of byState', sum(touches.byState))
  agree('touches.planned', touches.planned, 'the sum of byChannel', sum(touches.byChannel))
  agree('touches.byState.suppressed', touches.byState['suppressed'] ?? 0, 'the sum of byReason', sum(touches.byReason))
  const of = Object.values(journeys)
  const total = (figure: (j: (typeof of)[number]) => number) => of.reduce((all, j) => all + figure(j), 0)
  agree(
    'touches.planned',
    touches.planned,
    'that of all journeys',
    total((j) => j.planned),
  )
  agree(
    'touches.byState.delivered',
    touches.byState['delivered'] ?? 0,
    'that of all journeys',
    total((j) => j.delivered),
  )
  agree(
    'the sum of byReason',
    sum(touches.byReason),
    'that of all journeys',
    total((j) => sum(j.suppressed)),
  )
  for (const [id, { entered, heldOut, bought, boughtHeldOut }] of Object.entries(journeys)) {
    const fits = boughtHeldOut <= heldOut && bought - boughtHeldOut <= entered - heldOut && heldOut <= entered
    if (!fits) problems.push(`journeys.${id}: more bought or were held out than entered`)
  }
  return problems
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((all, n) => all + n, 0)
}
