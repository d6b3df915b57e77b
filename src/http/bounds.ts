/** How much a caller may send over HTTP, before anything is known of him and after. */
export const HTTP_BOUNDS = {
  /** Of a callback, read before its signature is checked. Those of the platform take a few kB. */
  callbackBytes: 64 * 1024,
  /** Of any other request without a key. */
  publicBytes: 64 * 1024,
  /** Of a request with a key, unpacked. */
  bodyBytes: 10 * 1024 * 1024,
  /** Until all headers have come, and the whole request. */
  headersMs: 10_000,
  requestMs: 60_000,
  /** For an answer. */
  answerMs: 30_000,
  /** Requests without a key of ours. */
  failed: {
    /** Of one address within `attemptsMs`, answered at once. */
    freeAttempts: 20,
    attemptsMs: 60_000,
    /** How long each further one waits for its answer, and how many may. */
    pauseMs: 1_000,
    pausing: 100,
    /** Addresses that are remembered. */
    addresses: 1_000,
  },
} as const
