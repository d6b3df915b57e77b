/* eslint-disable no-restricted-syntax -- it says how far a run is, and asserts nothing */
// Beside jest's own report: on a pipe or in a CI log one line of progress every few seconds, and the check that the run ends
// by itself. A run that still holds something half a minute after its summary names it and fails.
const PROGRESS_EVERY_MS = 10_000
const END_WITHIN_MS = 30_000

export default class {
  lastSaidMs = performance.now()
  startedMs = performance.now()

  onTestFileResult(_test, _result, sum) {
    const nowMs = performance.now()
    const done = sum.numPassedTestSuites + sum.numFailedTestSuites + sum.numPendingTestSuites
    const last = done === sum.numTotalTestSuites
    if (process.stderr.isTTY || (nowMs - this.lastSaidMs < PROGRESS_EVERY_MS && !last)) return
    this.lastSaidMs = nowMs
    const failed = sum.numFailedTests + sum.numRuntimeErrorTestSuites
    process.stderr.write(
      `── ${done} of ${sum.numTotalTestSuites} files · ${sum.numPassedTests} tests passed, ${failed} failed · ${seconds(nowMs - this.startedMs)}\n`,
    )
  }

  onRunComplete(contexts) {
    const [context] = contexts
    const endWithinMs = context?.config.testEnvironmentOptions.endWithinMs ?? END_WITHIN_MS
    // Does not keep the process: it is heard only when something else does.
    setTimeout(() => {
      const open = process.getActiveResourcesInfo().join(', ')
      process.stderr.write(`NOT ENDED: ${endWithinMs / 1000} s after the summary this run still holds ${open}\n`)
      process.exit(1)
    }, endWithinMs).unref()
  }
}

function seconds(ms) {
  const whole = Math.round(ms / 1000)
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`
}
