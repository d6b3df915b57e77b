/** One file that holds named pieces, each small enough to be in memory. It counts once it is committed, and only whole. */
export interface ArchiveWriter {
  add(name: string, data: Buffer): Promise<void>
  /** Resolves to its size in bytes, when it is on disk under its name. */
  commit(): Promise<number>
  /** Leaves nothing behind; does nothing after `commit`. */
  discard(): Promise<void>
}

export interface ArchiveReader {
  /** Names and sizes of its pieces, in order. @throws {InvalidInputError} where the file is none, or cut off */
  entries(): AsyncIterable<{ name: string; bytes: number; read: () => Promise<Buffer> }>
  /** May be called twice. */
  close(): Promise<void>
}

/** Where archives are. */
export interface Archives {
  /** Where an archive of that name is, or would be. */
  placeOf(name: string): string
  /** Names of those there are. */
  list(): Promise<string[]>
  /** @throws {ConflictError} where there is one of that name */
  create(name: string): Promise<ArchiveWriter>
}
