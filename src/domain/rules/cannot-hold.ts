import { said } from '../../said.js'
import type { Mistake, Path } from '../reference.js'
import { canAllBeMet, type Demand } from './demands.js'
import type { Known } from './known.js'
import { clauseOf, type PlacedRule, type Rule } from './rule.js'

type Placed = Demand & { path: Path }

/**
 * Conditions that nobody can ever meet: a clause whose own bounds exclude each other, and clauses of one `all` that do. What is wrong with
 * a part of `any`, or inside `not`, is said too: it is there in vain.
 *
 * @param given - what holds of everybody who is asked
 */
export function cannotHold(placed: PlacedRule, known: Known, given: readonly Demand[] = []): Mistake[] {
  return lookInto(
    [placed],
    known,
    given.map((demand) => ({ ...demand, path: [] })),
    [],
  )
}

/** @param said - rules that hold of everybody who is asked, as JSON */
function lookInto(
  all: readonly PlacedRule[],
  known: Known,
  given: readonly Placed[],
  holds: readonly string[],
): Mistake[] {
  const atoms = all.flatMap(conjuncts)
  const held = [...given]
  const asserted = [...holds, ...atoms.map(({ rule }) => JSON.stringify(rule))]
  const mistakes: Mistake[] = []
  for (const { rule, path } of atoms) {
    const demands = 'not' in rule ? demandsOfNot(rule.not, known) : clauseOf(rule).demands(rule, known)
    const isDenied = 'not' in rule && asserted.includes(JSON.stringify(rule.not))
    const own = demands.map((demand) => ({ ...demand, path }))
    const clash = own.map((demand) => clashOf(demand, held)).find((c) => c !== undefined)
    if (isDenied || clash !== undefined || own.some((demand) => clashOf(demand, own) !== undefined))
      mistakes.push(impossible(path, clash))
    else held.push(...own)
  }
  for (const { rule, path } of atoms) {
    if ('any' in rule)
      for (const part of clauseOf(rule).parts(rule))
        mistakes.push(...inVain(lookInto([{ rule: part.rule, path: [...path, ...part.path] }], known, held, asserted)))
    if ('not' in rule) mistakes.push(...inVain(lookInto([{ rule: rule.not, path: [...path, 'not'] }], known, [], [])))
  }
  return mistakes
}

/** The whole can hold without them. */
function inVain(mistakes: readonly Mistake[]): Mistake[] {
  return mistakes.map((mistake) => ({ ...mistake, unsure: true }))
}

/** What must hold together, however deep the alls are nested. */
function conjuncts({ rule, path }: PlacedRule): PlacedRule[] {
  if (!('all' in rule)) return [{ rule, path }]
  return rule.all.flatMap((part, i) => conjuncts({ rule: part, path: [...path, 'all', i] }))
}

/** Of what is denied only the simplest: that there is something at all. */
function demandsOfNot(rule: Rule, known: Known): Demand[] {
  const [demand, ...others] = clauseOf(rule).demands(rule, known)
  if (demand === undefined || others.length > 0) return []
  const { gt, ...rest } = demand.tests
  if (demand.whole === true && gt === 0 && Object.keys(rest).length === 0) return [{ ...demand, tests: { lte: 0 } }]
  return Object.keys(demand.tests).length === 0 && demand.absent === undefined ? [{ ...demand, absent: true }] : []
}

/** With which of them it cannot hold; without a path: it cannot by itself. */
function clashOf(demand: Demand, held: readonly Placed[]): { path?: Path } | undefined {
  if (!canAllBeMet([demand])) return {}
  const alike = held.filter((other) => other.of === demand.of)
  if (canAllBeMet([demand, ...alike])) return undefined
  return { path: alike.find((other) => !canAllBeMet([demand, other]))?.path ?? alike.at(-1)!.path }
}

function impossible(path: Path, clash: { path?: Path } | undefined): Mistake {
  const other = clash?.path === undefined || clash.path.length === 0 ? undefined : clash.path.join('.')
  return {
    path,
    message:
      other === undefined
        ? said('这个条件不可能成立', 'this can never hold')
        : said(`这个条件和 ${other} 不可能同时成立`, `this can never hold together with ${other}`),
    hint: said('改正上下限或值，或删掉它', 'correct its bounds or values, or remove it'),
  }
}
