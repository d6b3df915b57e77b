/**
 * Whatever somebody outside sizes has a bound: all of them stand here, and in docs/security.md. Each is tested at the bound and beyond.
 */

/** Of requests over HTTP, before anything is known of the caller and after. */
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

/** How much one request of records, and one record, may hold. */
export const RECORD_BOUNDS = {
  /** Records of one request. */
  records: 1_000,
  identifiers: 50,
  traits: 500,
  events: 1_000,
  /** Of the name of a trait, a property, an event, a source or a type of identifier, in UTF-16 units. */
  nameChars: 200,
  /** Of the value of an identifier, of an event's id, and of where a record stands in its source. */
  valueChars: 256,
  idChars: 200,
  refChars: 300,
  traitChars: 10_000,
  /** Lists and objects inside each other, in the properties of an event. */
  depth: 20,
  /** Of all properties of an event together: names, texts, and 8 for anything else. */
  propertiesChars: 100_000,
} as const

/** What one may ask of a service, beside sending records. */
export const ASK_BOUNDS = {
  /** Lists and objects inside each other. */
  depth: 60,
  /** Of a rule that stands in no file, as JSON: of what it becomes the engine reads 256 KiB. */
  ruleChars: 10_000,
  /** What an operation was done to, as the audit keeps it. */
  targetChars: 500,
} as const

/** How much a template may do: whoever writes one may mistype it, and every dispatch renders it. */
export const TEMPLATE_BOUNDS = {
  /** Of a template, in characters. */
  templateChars: 4_000,
  /** Of what it becomes, in characters; channels have bounds of their own below. */
  textChars: 20_000,
  /** What it makes on the way: characters of texts, items of lists and of `(1..n)`, added up. */
  work: 5_000,
  /** For loops inside each other, which make nothing: until then it ends. */
  renderMs: 1_000,
} as const

/** What one file may hold; people write these. */
export const YAML_BOUNDS = {
  bytes: 8 * 1024 * 1024,
  /** Fields of all its objects together. */
  fields: 20_000,
  /** Problems of its content that are told. */
  problems: 100,
} as const

/** What one row of a CSV file may hold. */
export const CSV_BOUNDS = {
  rowBytes: 1024 * 1024,
} as const

/** Of the volume of an embedded data directory. */
export const DISK_BOUNDS = {
  /** Free bytes below which `/readyz` says that the service takes nothing any more. */
  freeBytes: 64 * 1024 * 1024,
} as const
