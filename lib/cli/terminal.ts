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
    const text = JSON.stringify(value)
    await this.line(this.isPerson ? escapedJson(text) : text)
  }

  /** Says something about the command itself. */
  say(text: string): void {
    if (this.#verbosity.quiet !== true) tell(text)
  }

  /** The same, for those who asked for more. */
  detail(text: string): void {
    if ((this.#verbosity.verbose ?? 0) > 0) tell(text)
  }
}

/**
 * Writes lines to stderr, whoever reads them: all that commands say goes through here, since it may have words of a peer
 * in it. One line stays one: what strangers write is none of this command's lines.
 */
export function tell(...lines: readonly string[]): void {
  process.stderr.write(`${lines.map(line => escapedLine(shortened(line))).join('\n')}\n`)
}

/** Characters of a line: more than any of this command's own has. */
const MAX_LINE = 2000

/** The words of a peer may be megabytes. */
function shortened(line: string): string {
  return line.length <= MAX_LINE ? line : `${line.slice(0, MAX_LINE)}… (${line.length} characters)`
}

const DRIVING = /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu

/** A message must not drive the terminal: control characters and marks of direction are shown, not sent. */
export function escaped(text: string): string {
  return text.replace(DRIVING, character => {
    if (character === '\n' || character === '\t') return character
    const point = character.codePointAt(0)!
    return point < 0x100
      ? `\\x${point.toString(16).padStart(2, '0')}`
      : `\\u${point.toString(16).padStart(4, '0')}`
  })
}

/** The same for text within a line: ends of lines and tabs are shown, too. */
export function escapedLine(text: string): string {
  return escaped(text).replaceAll('\n', '\\n').replaceAll('\t', '\\t')
}

/** The same for JSON, which it stays. */
function escapedJson(text: string): string {
  return text.replace(DRIVING, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
