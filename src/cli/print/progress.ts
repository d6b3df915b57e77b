import { SingleBar } from 'cli-progress'
import { elapsedMs, MINUTE_MS, SECOND_MS } from '../../time.js'

export type ProgressOptions = {
  /** Usually `process.stderr`, so that results on stdout stay clean. */
  stream: NodeJS.WritableStream & { isTTY?: boolean }
  /** Shows nothing at all. */
  quiet?: boolean
  locale: 'zh' | 'en'
}

/** Shows how far a long piece of work is; one piece at a time. */
export interface Progress {
  /** Begins a piece of `total` steps, 0 when nobody knows how many; ends the one before, if it is still open. */
  start(label: string, total: number): void
  /** `n` steps of the total are done; cheap enough to call for every batch. */
  set(n: number, note?: string): void
  /** Ends the piece; does nothing when none is open. */
  done(note?: string): void
  /** Ends the piece without calling it done; says nothing. */
  drop(): void
}

type Piece = {
  label: string
  total: number
  n: number
  note: string
  startedMs: number
  tenths: number
  bar?: SingleBar
}

const WORDS = {
  zh: { left: '剩余', took: '用时', done: '完成' },
  en: { left: 'left', took: 'took', done: 'done' },
} as const
const BAR_CELLS = 28

/** On a terminal a bar with rate and time left; elsewhere one line every 10 %. */
export function createProgress({ stream, quiet = false, locale }: ProgressOptions): Progress {
  let piece: Piece | undefined
  const words = WORDS[locale]

  function start(label: string, total: number): void {
    if (quiet) return
    done()
    piece = { label, total, n: 0, note: '', startedMs: elapsedMs(), tenths: 0 }
    if (stream.isTTY !== true) return
    const shown = piece
    piece.bar = new SingleBar({
      stream,
      format: () => drawBar(shown, words.left),
      hideCursor: true,
      clearOnComplete: true,
      fps: 8,
      gracefulExit: false,
    })
    piece.bar.start(total, 0)
  }

  function set(n: number, note = ''): void {
    if (piece === undefined) return
    piece.n = n
    piece.note = note
    if (piece.bar !== undefined) return piece.bar.update(n)
    const tenths = Math.min(9, Math.floor(ratioOf(piece) * 10))
    if (tenths <= piece.tenths) return
    piece.tenths = tenths
    stream.write(`${piece.label}  ${tenths * 10} %  ${figuresOf(piece)}\n`)
  }

  function done(note = ''): void {
    if (piece === undefined) return
    piece.bar?.stop()
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
    piece?.bar?.stop()
    piece = undefined
  }

  return { start, set, done, drop }
}

const integers = new Intl.NumberFormat('en-US')

function drawBar(piece: Piece, left: string): string {
  if (piece.total === 0) return `${piece.label}  ${figuresOf(piece)}`
  const ratio = ratioOf(piece)
  const full = Math.round(ratio * BAR_CELLS)
  const percent = `${Math.floor(ratio * 100)} %`.padStart(5)
  return `${piece.label}  ${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)} ${percent}  ${figuresOf(piece, left)}`
}

/** `n/total`, steps a second and, once there is a rate, the time left. */
function figuresOf(piece: Piece, left?: string): string {
  const tookMs = elapsedMs() - piece.startedMs
  const perMs = tookMs === 0 ? 0 : piece.n / tookMs
  return [
    piece.total === 0 ? integers.format(piece.n) : `${integers.format(piece.n)}/${integers.format(piece.total)}`,
    `${integers.format(Math.round(perMs * SECOND_MS))}/s`,
    left === undefined || perMs === 0 ? '' : `${left} ${formatDuration((piece.total - piece.n) / perMs)}`,
    piece.note,
  ]
    .filter((part) => part !== '')
    .join('  ')
}

function ratioOf({ n, total }: Piece): number {
  return total <= 0 ? 0 : Math.min(1, Math.max(0, n / total))
}

function formatDuration(ms: number): string {
  if (ms < MINUTE_MS) return `${(Math.max(0, ms) / SECOND_MS).toFixed(ms < 10 * SECOND_MS ? 1 : 0)} s`
  return `${Math.floor(ms / MINUTE_MS)} min ${Math.round((ms % MINUTE_MS) / SECOND_MS)} s`
}
