/** Plays the platform's URL check against a callback address of ours. */
export interface CallbackEcho {
  /** Signs and encrypts a text as the platform does and opens it as we do. @returns what is wrong */
  selfTest(): string | undefined
  /** Asks that address to echo a text; nothing is stored there. @returns what is wrong */
  ask(url: string): Promise<string | undefined>
}
