import { SingleBar } from 'cli-progress'
import { elapsedMs, MINUTE_MS, SECOND_MS } from '../time.js'
import { openBar } from './open-bars.js'

export type ProgressOptions = {
  /** Usually `process.stderr`, so that results on stdout stay clean. */
  stream: NodeJS.WritableStream & { isTTY?: boolean }
  /** Shows nothing at all. */
  quiet?: boolean
  locale: 'zh' | 'en'
}

export type PieceOptions = {
  /** Steps that an earlier run had done: not ours, when it comes to how fast we are. */
  from?: number
  /** How long everything takes of which this is a piece, `undefined` while nobody knows; instead of the piece's own time. */
  wholeLeftMs?: () => number | undefined
}

/** Shows how far a long piece of work is; one piece at a time. */
export interface Progress {
  /** Begins a piece of `total` steps, 0 when nobody knows how many; ends the one before, if it is still open. */
  start(label: string, total: number, options?: PieceOptions): void
  /** `n` steps of the total are done; cheap enough to call for every batch. */
  set(n: number, note?: string): void
  /** The total, where the one given at the start was a guess. */
  total(n: number): void
  /** Names what is being done within the piece, above all where it is not counted. */
  step(name: string): void
  /** Ends the piece; does nothing when none is open. */
  done(note?: string): void
  /** Ends the piece without calling it done; says nothing. */
  drop(): void
}

type Piece = {
  label: string
  total: number
  options: PieceOptions
  n: number
  note: string
  startedMs: number
  tenths: number
  bar?: SingleBar
  end?: () => void
}

const WORDS = {
  zh: {
    left: (time: string) => `剩余${time}`,
    wholeLeft: (time: string) => `全程剩余${time}`,
    about: (n: number, unit: 'min' | 's') => `约 ${n} ${unit === 'min' ? '分钟' : '秒'}`,
    took: '用时',
    done: '完成',
  },
  en: {
    left: (time: string) => `${time} left`,
    wholeLeft: (time: string) => `whole run: ${time} left`,
    about: (n: number, unit: 'min' | 's') => `about ${n} ${unit}`,
    took: 'took',
    done: 'done',
  },
} as const
type Words = (typeof WORDS)[keyof typeof WORDS]
const BAR_CELLS = 28

/** On a terminal a bar, elsewhere one line every 10 % and per step; both with rate and time left. */
export function createProgress({ stream, quiet = false, locale }: ProgressOptions): Progress {
  let piece: Piece | undefined
  const words = WORDS[locale]

  function start(label: string, total: number, options: PieceOptions = {}): void {
    if (quiet) return
    done()
    const n = options.from ?? 0
    piece = { label, total, options, n, note: '', startedMs: elapsedMs(), tenths: tenthsOf(n, total) }
    if (stream.isTTY !== true) return
    const shown = piece
    piece.bar = new SingleBar({
      stream,
      format: () => drawBar(shown, words),
      hideCursor: true,
      clearOnComplete: true,
      fps: 8,
      gracefulExit: false,
    })
    piece.end = openBar(piece.bar)
    piece.bar.start(total, n)
  }

  function set(n: number, note = ''): void {
    if (piece === undefined) return
    piece.n = n
    piece.note = note
    if (piece.bar !== undefined) return piece.bar.update(n)
    const tenths = tenthsOf(n, piece.total)
    if (tenths <= piece.tenths) return
    piece.tenths = tenths
    stream.write(`${piece.label}  ${tenths * 10} %  ${figuresOf(piece, words)}\n`)
  }

  function total(n: number): void {
    if (piece === undefined) return
    piece.total = n
    piece.bar?.setTotal(n)
  }

  function step(name: string): void {
    if (piece === undefined) return
    piece.note = name
    if (piece.bar !== undefined) return piece.bar.update(piece.n)
    stream.write(`${[piece.label, name, leftOf(piece, words)].filter((part) => part !== '').join('  ')}\n`)
  }

  function done(note = ''): void {
    if (piece === undefined) return
    piece.end?.()
    const took = formatDuration(elapsedMs() - piece.startedMs)
    const parts = [
      piece.label,
      words.done,
      integers.format(Math.max(piece.n, piece.total)),
      `${words.took} ${took}`,
      note,
    ]
    stream.write(`${parts.filter((part) => part !== '').join('  ')}\n`)
    piece = undefined
  }

  function drop(): void {
    piece?.end?.()
    piece = undefined
  }

  return { start, set, total, step, done, drop }
}

const integers = new Intl.NumberFormat('en-US')

function drawBar(piece: Piece, words: Words): string {
  if (piece.total === 0) return `${piece.label}  ${figuresOf(piece, words)}`
  const ratio = ratioOf(piece.n, piece.total)
  const full = Math.round(ratio * BAR_CELLS)
  const percent = `${Math.floor(ratio * 100)} %`.padStart(5)
  return `${piece.label}  ${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)} ${percent}  ${figuresOf(piece, words)}`
}

/** `n/total`, steps a second, the time left once it is known, and the note. */
function figuresOf(piece: Piece, words: Words): string {
  return [
    piece.total === 0 ? integers.format(piece.n) : `${integers.format(piece.n)}/${integers.format(piece.total)}`,
    `${integers.format(Math.round(rateOf(piece) * SECOND_MS))}/s`,
    leftOf(piece, words),
    piece.note,
  ]
    .filter((part) => part !== '')
    .join('  ')
}

function leftOf(piece: Piece, words: Words): string {
  const { wholeLeftMs } = piece.options
  if (wholeLeftMs !== undefined) {
    const leftMs = wholeLeftMs()
    return leftMs === undefined ? '' : words.wholeLeft(roughly(leftMs, words))
  }
  const perMs = rateOf(piece)
  if (piece.total === 0 || perMs === 0) return ''
  return words.left(roughly((piece.total - piece.n) / perMs, words))
}

/** Steps a millisecond; 0 while there is no telling. */
function rateOf({ n, options, startedMs }: Piece): number {
  const tookMs = elapsedMs() - startedMs
  return tookMs === 0 ? 0 : Math.max(0, n - (options.from ?? 0)) / tookMs
}

function tenthsOf(n: number, total: number): number {
  return Math.min(9, Math.floor(ratioOf(n, total) * 10))
}

function ratioOf(n: number, total: number): number {
  return total <= 0 ? 0 : Math.min(1, Math.max(0, n / total))
}

/** As exact as a guess may sound: whole minutes, below a minute and a half tens of seconds. */
function roughly(ms: number, words: Words): string {
  return ms < 1.5 * MINUTE_MS
    ? words.about(Math.max(1, Math.round(ms / (10 * SECOND_MS))) * 10, 's')
    : words.about(Math.round(ms / MINUTE_MS), 'min')
}

function formatDuration(ms: number): string {
  if (ms < MINUTE_MS) return `${(Math.max(0, ms) / SECOND_MS).toFixed(ms < 10 * SECOND_MS ? 1 : 0)} s`
  const seconds = Math.round(ms / SECOND_MS)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}
