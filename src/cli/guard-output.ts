import { forTerminal } from '../escape.js'

/** Colours of ours. */
// eslint-disable-next-line no-control-regex -- they start with the escape character
const COLOUR = /(\u001b\[[0-9;]*m)/

/** From here on nothing that commands print can do more to a terminal than be read, whoever wrote it. */
export function guardOutput(stream: NodeJS.WriteStream): void {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean
  stream.write = (chunk: unknown, ...rest: unknown[]) =>
    write(typeof chunk === 'string' ? plain(chunk) : chunk, ...rest)
}

function plain(text: string): string {
  return text
    .split(COLOUR)
    .map((part, i) => (i % 2 === 1 ? part : forTerminal(part)))
    .join('')
}
