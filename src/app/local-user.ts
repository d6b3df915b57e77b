import { userInfo } from 'node:os'

/** Who runs this command, as the audit names them. */
export function localUser(): string {
  try {
    return `user:${userInfo().username}`
  } catch {
    return `user:${process.getuid?.() ?? 'unknown'}` // a container may run under a number that has no name
  }
}
