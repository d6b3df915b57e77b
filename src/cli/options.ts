import { type Command, InvalidArgumentError, Option } from 'commander'
import type { ServiceOptions } from '../app/open-service.js'
import type { Env } from '../config.js'
import { said } from '../said.js'

/** What every command is handed. */
export type CommandContext = {
  env: Env
  /** Aborted when somebody wants the command to end. */
  signal: AbortSignal
  /** The one that is run, as it is typed: `tags list`. Absent before. */
  command?: string
  /** What it was given. */
  options?: Readonly<Record<string, unknown>>
}

/** Adds a command to the program. It loads what it works with only when it is run: help comes at once. */
export type RegisterCommand = (parent: Command, context: CommandContext) => void

export type WithConfig = { config: string }

/** What every command that opens the stores is given. */
export function serviceOptions({ config }: WithConfig, { env, signal, command }: CommandContext): ServiceOptions {
  return { config, env, signal, ...(command !== undefined && { command }) }
}

export function configOption(): Option {
  return new Option('--config <file>', '配置文件 · configuration').default('config/service.yaml')
}

export function examples(...lines: string[]): string {
  return `\n${said('例子：', 'Examples:')}\n${lines.map((line) => `  $ ${line}`).join('\n')}\n`
}

/** The language of whoever sits at the terminal; Chinese where the environment does not say. */
export function localeOf({ LC_ALL, LC_MESSAGES, LANG }: Env): 'zh' | 'en' {
  return /^en/i.test(LC_ALL || LC_MESSAGES || LANG || '') ? 'en' : 'zh'
}

/** What a command says when it fails: in the language that was asked for, else the brand's, else that of whoever sits at the terminal. */
export async function languageOf({
  env,
  options: { lang, locale, config } = {},
}: Pick<CommandContext, 'env' | 'options'>): Promise<'zh' | 'en'> {
  const asked = lang ?? locale
  if (asked === 'zh' || asked === 'en') return asked
  if (typeof config !== 'string') return localeOf(env)
  const { readConfig } = await import('../config.js')
  // Of a configuration that cannot be read at all the command itself complains.
  const { part } = await readConfig({ file: config, env }).catch(() => ({ part: undefined }))
  return part?.brand?.locale ?? localeOf(env)
}

export function wholeNumber(text: string): number {
  const n = Number(text)
  if (text.trim() === '' || !Number.isInteger(n) || n < 0)
    throw new InvalidArgumentError(said('给一个非负整数', 'give a whole number, 0 or more'))
  return n
}
