const open = new Set<{ stop(): void }>()

/** Of a bar that is drawn from now on. Returns what ends it; after that it draws no more. */
export function openBar(bar: { stop(): void }): () => void {
  open.add(bar)
  return () => {
    if (open.delete(bar)) bar.stop()
  }
}

/** A bar draws itself until it is ended: one that its work has left behind, when that failed, would keep the process and hide the cursor. */
export function endOpenBars(): void {
  for (const bar of open) bar.stop()
  open.clear()
}
