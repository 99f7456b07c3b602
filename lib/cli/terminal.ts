// stdout is data, stderr is talk. A reader that goes away ends the command in order.
import { once } from 'node:events'

export interface Verbosity {
  quiet?: boolean
  verbose?: number
}

export class Terminal {
  readonly #verbosity: Verbosity

  constructor(verbosity: Verbosity) {
    this.#verbosity = verbosity
  }

  /** Whether a person reads stdout. */
  get isPerson(): boolean {
    return process.stdout.isTTY === true
  }

  /** Writes a line of data; resolves when there is room for the next one. */
  async line(text: string): Promise<void> {
    await this.bytes(`${text}\n`)
  }

  /** Of a stdout that cannot be written to any more nothing is thrown: the command stops (output.ts). */
  async bytes(data: string | Uint8Array): Promise<void> {
    if (!process.stdout.writable || process.stdout.write(data)) return
    await once(process.stdout, 'drain').catch(() => {})
  }

  async json(value: object): Promise<void> {
    await this.line(JSON.stringify(value))
  }

  /** Says something about the command itself. */
  say(text: string): void {
    if (this.#verbosity.quiet !== true) process.stderr.write(`${text}\n`)
  }

  /** The same, for those who asked for more. */
  detail(text: string): void {
    if ((this.#verbosity.verbose ?? 0) > 0) process.stderr.write(`${text}\n`)
  }
}

/** A message must not drive the terminal: control characters and marks of direction are shown, not sent. */
export function escaped(text: string): string {
  return text.replace(/[\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu, character => {
    if (character === '\n' || character === '\t') return character
    const point = character.codePointAt(0)!
    return point < 0x100
      ? `\\x${point.toString(16).padStart(2, '0')}`
      : `\\u${point.toString(16).padStart(4, '0')}`
  })
}
