import { AppError, messageOf, tellError } from '../errors.js'
import { endOpenBars } from '../print/open-bars.js'
import { bilingual } from '../said.js'
import { type CommandContext, languageOf } from './options.js'

/** What is told of a command that failed, and how the process ends: 130 where somebody has stopped it. */
export async function tellFailure(err: unknown, context: CommandContext): Promise<{ text: string; exitCode: number }> {
  endOpenBars()
  const language = await languageOf(context)
  const words = bilingual(language)
  if (context.signal.aborted && err instanceof Error && err.name === 'AbortError')
    return { text: words('已中断，可以重新执行', 'interrupted; it can be run again'), exitCode: 130 }
  if (err instanceof AppError) return { text: tellError(err, language), exitCode: 1 }
  return { text: err instanceof Error ? (err.stack ?? err.message) : messageOf(err), exitCode: 1 }
}
