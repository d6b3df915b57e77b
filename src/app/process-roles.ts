import { said } from '../said.js'
import { ConfigError } from '../errors.js'

/** What a process does; by default one does all of it. */
export const ROLES = ['api', 'worker', 'scheduler'] as const
export type ProcessRole = (typeof ROLES)[number]

/** `api,worker` as roles. @throws {ConfigError} */
export function parseRoles(text: string): ProcessRole[] {
  const names = text.split(',').map((name) => name.trim())
  const wrong = names.filter((name) => !ROLES.includes(name as ProcessRole))
  if (wrong.length === 0) return ROLES.filter((role) => names.includes(role))
  const problems = wrong.map((name) => ({
    path: '--role',
    message: said(`"${name}" 不是角色`, `"${name}" is no role`),
    hint: ROLES.join(', '),
  }))
  throw new ConfigError('--role', problems)
}
