/** One thing that `siyu doctor` looked at. Texts are for operators: Chinese first. */
export type Finding = {
  /** Stable, for programs: `wecom.secret`. */
  id: string
  title: string
  /** skipped: could not be looked at, or is not set. warned: works, but look at it. */
  state: 'ok' | 'failed' | 'warned' | 'skipped'
  found: string
  /** What to do, and where to click. */
  fix?: string
}

/** Findings under one title. */
export function about(id: string, title: string) {
  const finding =
    (state: Finding['state']) =>
    (found: string, fix?: string): Finding => ({ id, title, state, found, ...(fix !== undefined && { fix }) })
  return { ok: finding('ok'), failed: finding('failed'), warned: finding('warned'), skipped: finding('skipped') }
}
