import { basename } from 'node:path'

/** What it is called by in the shell that it was started from: by its name where that is installed, else through `npx`. */
export function callOf(
  script: string | undefined,
  { npm_command: byNpm }: Readonly<Record<string, string | undefined>>,
): 'siyu' | 'npx siyu' {
  return byNpm === undefined && basename(script ?? '') === 'siyu' ? 'siyu' : 'npx siyu'
}

/** Sentences name commands by `siyu check`, wherever they were written: in this process, in the service, in a document. Printed, they can be pasted. */
export function asTyped(call: 'siyu' | 'npx siyu', commands: readonly string[]): (text: string) => string {
  if (call === 'siyu') return (text) => text
  const named = new RegExp(`(?<![\\w./-]|npx )siyu (?=(?:${commands.join('|')})(?![\\w-])|<)`, 'g')
  return (text) => text.replace(named, `${call} `)
}
