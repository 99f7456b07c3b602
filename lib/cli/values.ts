// Values of arguments: durations, counts, ports, headers.
import { InvalidArgumentError } from 'commander'

const UNITS: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** The longest delay of a timer, in ms: 24.8 days. */
const MAX_TIME = 0x7fffffff

/** `500`, `500ms`, `5s`, `2m` in ms. */
export function duration(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? []
  if (number === undefined) throw new InvalidArgumentError('It must be a time, such as 500, 5s or 2m.')
  const time = Math.round(Number(number) * UNITS[unit ?? '']!)
  if (time > MAX_TIME) throw new InvalidArgumentError('It must be at most 24 days.')
  return time
}

/** The same, more than 0. */
export function period(text: string): number {
  const time = duration(text)
  if (time === 0) throw new InvalidArgumentError('It must be more than 0.')
  return time
}

/** A name or a command, which an empty variable of a shell is not. */
export function filled(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.')
  return text
}

export function count(text: string): number {
  const number = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number) || number < 1) {
    throw new InvalidArgumentError('It must be a whole number of at least 1.')
  }
  return number
}

export function port(text: string): number {
  const number = Number(text)
  if (!/^\d+$/.test(text) || number > 65_535) {
    throw new InvalidArgumentError('It must be a port from 0 to 65535.')
  }
  return number
}

export function oneOf<T extends string>(...choices: readonly T[]): (text: string) => T {
  return text => {
    if (!choices.includes(text as T))
      throw new InvalidArgumentError(`It must be one of ${choices.join(', ')}.`)
    return text as T
  }
}

export function collected(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text]
}

/** `K:V`; a value that is JSON is sent as that, else as text; `K:="5"` is always text. */
export function header(text: string, before: Record<string, unknown> | undefined): Record<string, unknown> {
  const at = text.indexOf(':')
  if (at < 1) throw new InvalidArgumentError('It must be NAME:VALUE.')
  const name = text.slice(0, at).trim()
  if (/^CN-/i.test(name)) throw new InvalidArgumentError(`Headers that begin with 'CN-' are reserved.`)
  const value = text.slice(at + 1)
  if (value.startsWith('=')) return { ...before, [name]: unquoted(value.slice(1)) }
  return { ...before, [name]: jsonOrText(value.trim()) }
}

export function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function unquoted(text: string): string {
  const value = jsonOrText(text)
  return typeof value === 'string' ? value : text
}

/** `8080`, `host:8080`, `[::1]:8080` or a path of a Unix socket. */
export function place(text: string): { port: number; host?: string } | { path: string } {
  if (/^[./]/.test(text) || text.startsWith('\\\\')) return { path: text }
  const [, host, number] = /^(?:(\[[^\]]+\]|[^:]+):)?(\d+)$/.exec(text) ?? []
  if (number === undefined) throw new InvalidArgumentError('It must be PORT, HOST:PORT or a path.')
  const found = { port: port(number) }
  return host === undefined ? found : { ...found, host: host.replace(/^\[|\]$/g, '') }
}
