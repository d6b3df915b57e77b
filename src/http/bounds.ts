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
} as const
