// The tables of docs/reference/limits.md.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const UNITS: Record<string, number> = { s: 1000, ms: 1, KiB: 1024, MiB: 1024 * 1024, bytes: 1 }

export interface LimitRow {
  readonly what: string
  readonly most: string
  /** Where the number stands: a file of the repository, and a constant or field in it. */
  readonly file: string
  readonly name: string
}

/** Returns the rows that have a number. */
export function limitRows(): LimitRow[] {
  const text = readFileSync(join(__dirname, '../../docs/reference/limits.md'), 'utf8')
  const found = text.matchAll(/^\| (.+) \| (.+) \| .*\| `([^`]+)` `([^`]+)` \|$/gm)
  return [...found].map(([, what, most, file, name]) => ({
    what: what!,
    most: most!,
    file: file!,
    name: name!,
  }))
}

/** Returns the number of `10 s` in ms, of `64 MiB` in bytes, of `1000 in 25 s` the first. */
export function numberOf(most: string): number {
  const [, number, unit] = /^([\d ]*\d)(?: (s|ms|KiB|MiB|bytes)\b)?/.exec(most) ?? []
  if (number === undefined) throw Error(`no number: ${most}`)
  return Number(number.replaceAll(' ', '')) * (unit === undefined ? 1 : UNITS[unit]!)
}
