import { type Command, Option } from 'commander'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { stringify } from 'yaml'
import { InvalidInputError, type Problem } from '../errors.js'
import { packageRoot } from '../package-root.js'
import { isTimeZone } from '../time.js'
import { bilingual } from '../said.js'
import { type CommandContext, examples, localeOf } from './options.js'

export function registerInit(program: Command, { env, signal }: CommandContext): void {
  program
    .command('init')
    .description(
      '建一个自己的品牌：配置、一条欢迎语、空的旅程目录 · begin a brand: settings, a greeting, no journeys yet',
    )
    .argument('[dir]', '放在哪里 · where', '.')
    .option('--name <brand>', '品牌名 · name of the brand')
    .option('--time-zone <zone>', '业务时区，如 Asia/Shanghai · business time zone')
    .option('--link-base <url>', '消息里链接的前缀，没有就写空 "" · where links in messages point, "" for none yet')
    .addOption(new Option('--locale <zh|en>', '报告和页面的语言 · language of reports').choices(['zh', 'en']))
    .addHelpText(
      'after',
      examples('siyu init', "siyu init my-brand --name 我的店 --time-zone Asia/Shanghai --link-base ''"),
    )
    .action(async (dir: string, { locale, ...given }: Partial<Answers>) => {
      const { stdin, stdout } = process
      const ask = stdin.isTTY && stdout.isTTY ? askOn(stdin, stdout, signal) : undefined
      await initCommand(dir, { ...given, locale: locale ?? localeOf(env) }, ask)
    })
}

/** What a brand is asked for; `linkBase` may be empty. */
export type Answers = { name: string; timeZone: string; linkBase: string; locale: 'zh' | 'en' }

/** Asks one question; an empty answer is the default. */
type Ask = (question: string, otherwise: string) => Promise<string>

const FOLDERS = ['config', 'journeys', 'schemas']
const EXAMPLE = join('examples', 'first-journey.yaml')
const SETTINGS = join('config', 'service.yaml')
/** What holds customers or secrets is nobody's to commit. */
const IGNORED = '.siyu\n.env\n'

/**
 * `siyu init`: writes the files that a brand begins with; one that is there stays as it is.
 *
 * @param ask - absent: nobody can be asked, so what is not given is an error
 * @throws {InvalidInputError} when an answer is missing or cannot be used, or the folder has a brand already; nothing is written then
 */
export async function initCommand(
  dir: string,
  given: Partial<Answers> & Pick<Answers, 'locale'>,
  ask?: Ask,
  write: (text: string) => void = (text) => void process.stdout.write(text),
): Promise<void> {
  const words = bilingual(given.locale)
  const settings = join(dir, SETTINGS)
  if (await isThere(settings)) {
    throw refusal(words('这里已经有一个品牌', 'There is a brand here already'), [
      {
        file: settings,
        path: 'brand',
        message: words('已存在，不会改动', 'is there and stays as it is'),
        hint: words(
          '直接改它，或换个目录：siyu init my-brand',
          'edit it, or begin in another folder: siyu init my-brand',
        ),
      },
    ])
  }
  const answers = await complete(given, ask)
  const [written, kept] = [[] as string[], [] as string[]]
  for (const [file, text] of await filesOf(answers)) {
    const place = join(dir, file)
    await mkdir(dirname(place), { recursive: true })
    ;((await writeNew(place, text)) ? written : kept).push(file)
  }
  const own = written.filter((file) => !file.startsWith('schemas'))
  write(`${words(`✓ 品牌「${answers.name}」已建好`, `✓ The brand "${answers.name}" is there`)}\n`)
  for (const file of own) write(`  ${join(dir, file)}\n`)
  if (kept.length > 0)
    write(`${words('已有的文件没有动：', 'Files that were there stay as they are: ')}${kept.join(', ')}\n`)
  const steps = [
    ...(dir === '.' ? [] : [`cd ${dir}`]),
    words('npx siyu try      看一位顾客会收到什么', 'npx siyu try      shows what a customer gets'),
    words('npx siyu check    检查改过的文件', 'npx siyu check    checks the files you edit'),
  ]
  write(`${words('接下来：', 'Next:')}\n${steps.map((step) => `  $ ${step}\n`).join('')}`)
}

async function complete(given: Partial<Answers> & Pick<Answers, 'locale'>, ask: Ask | undefined): Promise<Answers> {
  const words = bilingual(given.locale)
  const name = given.name ?? (await ask?.(words('品牌名', 'Name of the brand'), '')) ?? ''
  const timeZone =
    given.timeZone ?? (await ask?.(words('业务时区', 'Business time zone'), 'Asia/Shanghai')) ?? 'Asia/Shanghai'
  const linkBase =
    given.linkBase ??
    (await ask?.(
      words('消息里链接的前缀，还没有就直接回车', 'Where links in messages point, empty for none yet'),
      '',
    )) ??
    ''
  const problems: Problem[] = [
    ...(name.trim() === ''
      ? [{ path: '--name', message: words('要有品牌名', 'a brand has a name'), hint: 'siyu init --name 我的店' }]
      : []),
    ...(isTimeZone(timeZone)
      ? []
      : [
          {
            path: '--time-zone',
            message: words(`没有时区 "${timeZone}"`, `there is no time zone "${timeZone}"`),
            hint: 'Asia/Shanghai',
          },
        ]),
    ...(linkBase === '' || /^https?:\/\/\S+$/.test(linkBase)
      ? []
      : [
          {
            path: '--link-base',
            message: words(`"${linkBase}" 不是网址`, `"${linkBase}" is no address`),
            hint: 'https://m.my-brand.com',
          },
        ]),
  ]
  if (problems.length > 0) throw refusal('siyu init', problems)
  return { ...given, name: name.trim(), timeZone, linkBase }
}

/** What the package ships as a beginning, with the answers in it. */
async function filesOf(answers: Answers): Promise<[file: string, text: string][]> {
  const root = packageRoot()
  const files: [string, string][] = [
    ['.gitignore', IGNORED],
    [EXAMPLE, await readFile(join(root, EXAMPLE), 'utf8')],
  ]
  for (const folder of FOLDERS) {
    const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true })
    const names = entries.filter((e) => e.isFile()).map((e) => relative(root, join(e.parentPath, e.name)))
    for (const name of names.sort()) {
      const text = await readFile(join(root, name), 'utf8')
      files.push([name, name === SETTINGS ? fillIn(text, answers) : text])
    }
  }
  return files
}

/** As text, so that every comment stays where it is. */
function fillIn(settings: string, { name, timeZone, linkBase, locale }: Answers): string {
  const set = (text: string, key: string, value: string): string =>
    text.replace(
      new RegExp(`^( *)${key}: [^#\\n]*?( +#.*)?$`, 'm'),
      (_line, indent: string, comment = '') => `${indent}${key}: ${stringify(value).trim()}${String(comment)}`,
    )
  const filled = set(set(set(settings, 'name', name), 'timeZone', timeZone), 'locale', locale)
  return filled.replace(
    /^#? ?linkBase: .*$/m,
    linkBase === '' ? '# linkBase: https://m.my-brand.com' : `linkBase: ${stringify(linkBase).trim()}`,
  )
}

/** @returns whether there was nothing in its place */
async function writeNew(file: string, text: string): Promise<boolean> {
  try {
    await writeFile(file, text, { flag: 'wx' })
    return true
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw err
  }
}

async function isThere(file: string): Promise<boolean> {
  try {
    await readFile(file)
    return true
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw err
  }
}

function refusal(what: string, problems: Problem[]): InvalidInputError {
  return new InvalidInputError(what, problems)
}

function askOn(input: NodeJS.ReadStream, output: NodeJS.WriteStream, signal: AbortSignal): Ask {
  return async (question, otherwise) => {
    const lines = createInterface({ input, output })
    try {
      const shown = otherwise === '' ? '' : ` [${otherwise}]`
      return (await lines.question(`${question}${shown}: `, { signal })).trim() || otherwise
    } finally {
      lines.close()
    }
  }
}
