import type { Command } from 'commander'
import { said } from '../said.js'
import { InvalidInputError } from '../errors.js'
import { parseInput } from '../parse.js'
import { PersonQuery } from '../services/identity/find-person.js'
import { configOption, wholeNumber } from './options.js'

/** The options by which commands name somebody. */
export type PersonOptions = { profile?: number; member?: string; identifier?: string }

/** Lets a command be asked about somebody. */
export function personOptions(command: Command): Command {
  return command
    .option('--profile <n>', '档案号 · profile number', wholeNumber)
    .option('--member <id>', '会员号，即 --identifier member_id:<id> · member id')
    .option('--identifier <id>', '任意标识，可带类型，如 unionid:… · any identifier, with its type or without')
    .addOption(configOption())
}

/** Somebody by what was typed, a profile number or an identifier, or by the options. @throws {InvalidInputError} unless exactly one is given */
export function parseWhom(typed: string | undefined, options: PersonOptions): PersonQuery {
  return parsePerson(typed === undefined ? options : { ...options, identifier: typed })
}

/** @throws {InvalidInputError} unless exactly one is given */
export function parsePerson({ profile, member, identifier }: PersonOptions): PersonQuery {
  if ([profile, member, identifier].filter((x) => x !== undefined).length !== 1) {
    const hint = said(
      '写一个：档案号、任意标识，或 --profile 42、--member 13085',
      'give one of a profile number, any identifier, --profile 42, --member 13085',
    )
    throw new InvalidInputError(said('指哪个人？', 'Whom?'), [
      { path: '--profile', message: said('要说明一个人', 'one person is needed'), hint },
    ])
  }
  if (profile !== undefined) return parseInput(PersonQuery, { profileId: profile }, '--profile')
  if (member !== undefined)
    return parseInput(PersonQuery, { identifier: { type: 'member_id', value: member } }, '--member')
  return parseInput(PersonQuery, { value: identifier }, '--identifier')
}
