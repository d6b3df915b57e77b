import { asCommand, inLanguage, said, sentencesOf } from './said.js'

/** Base of every error we raise on purpose. The message says what to do next and never holds a token or a phone number. */
export abstract class AppError extends Error {
  abstract readonly code: string
  readonly retryable: boolean = false

  constructor(
    message: string,
    readonly details: Record<string, unknown> = {},
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = new.target.name
  }
}

/** One thing that is wrong with an input: where it is, what is wrong, how to mend it. */
export type Problem = {
  /** File the value came from, when there is one. */
  file?: string
  /** 1-based line in that file. */
  line?: number
  /** Path of the field, e.g. `steps.2.wait`. */
  path: string
  message: string
  /** What to do about it. */
  hint?: string
}

/** One line per problem: `file:line path: message → hint`; without a language in both. */
export function formatProblem(p: Problem, language?: 'zh' | 'en'): string {
  const place = p.file === undefined ? '' : `${p.file}${p.line === undefined ? '' : `:${p.line}`} `
  const message = sentencesOf(p.message)
  const hint = p.hint === undefined ? undefined : sentencesOf(p.hint)
  const inWords = (language: 'zh' | 'en') => `${message[language]}${hint === undefined ? '' : ` → ${hint[language]}`}`
  const [zh, en] = [inWords('zh'), inWords('en')]
  const where = `${place}${p.path === '' ? '' : `${p.path}: `}`
  if (language !== undefined) return `${where}${asCommand(inWords(language))}`
  return `${where}${zh === en ? en : said(zh, en)}`
}

/** Somebody gave us something we cannot use. Carries every problem found, not only the first. */
export class InvalidInputError extends AppError {
  readonly code = 'invalid_input'
  constructor(
    readonly what: string,
    readonly problems: readonly Problem[],
    options?: ErrorOptions,
  ) {
    super(`${what}\n${problems.map((p) => `  ${formatProblem(p)}`).join('\n')}`, { problems }, options)
  }
}

/** Configuration or environment is unusable; the process must not start. */
export class ConfigError extends AppError {
  readonly code = 'bad_config'
  constructor(
    readonly what: string,
    readonly problems: readonly Problem[] = [],
    options?: ErrorOptions,
  ) {
    super([what, ...problems.map((p) => `  ${formatProblem(p)}`)].join('\n'), { problems }, options)
  }
}

export class NotFoundError extends AppError {
  readonly code = 'not_found'
}

/** Somebody else holds it or changed it first (a version, a lock, a port, a data directory). */
export class ConflictError extends AppError {
  readonly code = 'conflict'
}

/**
 * A stored document is not what this version takes it for: it was changed by hand, or a program was wrong. Says where and of
 * which kind the value is, never the value.
 */
export class UnfitDocumentError extends AppError {
  readonly code = 'unfit_document'
  constructor(
    readonly collection: string,
    /** Of the document; of those whose `_id` holds an identifier of a customer a hash of it. */
    readonly id: string,
    readonly problems: readonly Problem[],
  ) {
    const said = problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ')
    super(`stored document ${collection}/${id} cannot be used: ${said}`, { collection, id, problems })
  }
}

/** An outside system refused or failed. `upstreamCode` is its own code, e.g. the WeCom `errcode`. */
export class UpstreamError extends AppError {
  readonly code = 'upstream_failed'
  constructor(
    readonly system: string,
    readonly upstreamCode: string,
    override readonly retryable: boolean,
    message: string,
    options?: ErrorOptions,
    /** Whether it speaks of what was given to it, or of the system itself; where it cannot be told, nothing. */
    readonly about?: 'input' | 'system',
  ) {
    super(`${system}: ${message} (${upstreamCode})`, { system, upstreamCode }, options)
  }
}

/** The request left but no answer came: whether it took effect is unknown and must be settled by reading back. */
export class UnknownOutcomeError extends AppError {
  readonly code = 'unknown_outcome'
  constructor(
    readonly system: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(`${system}: ${message}`, { system }, options)
  }
}

/** Whether an outside system is the reason: it may be about one thing only, and the others can go on. */
export function isUpstreamFault(err: unknown): err is UpstreamError | UnknownOutcomeError {
  return err instanceof UpstreamError || err instanceof UnknownOutcomeError
}

/** What a person is told of it: in one language, with a line for each problem. */
export function tellError(err: AppError, language: 'zh' | 'en'): string {
  if (!(err instanceof InvalidInputError || err instanceof ConfigError)) return inLanguage(err.message, language)
  const problems = err.problems.map((p) => `  ${formatProblem(p, language)}`)
  return [inLanguage(err.what, language), ...problems].join('\n')
}

/** The message of whatever was thrown. */
export function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}
