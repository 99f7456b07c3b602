// What went wrong, as a command tells it: an exit code, one line of text, and what to try.

/** The exit codes of every subcommand (docs/reference/command.md). */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  connection: 3,
  permission: 4,
  nobody: 5,
  timeout: 6,
  undelivered: 7,
  unhealthy: 8,
} as const

/** The command was used wrongly: nothing was tried. */
export class UsageError extends Error {
  readonly hint: string | undefined

  constructor(message: string, hint?: string) {
    super(message)
    this.hint = hint
  }
}

/** Something failed for which a command knows a better exit code or a next step. */
export class CommandError extends Error {
  readonly exit: number
  readonly code: string | number | undefined
  readonly hint: string | undefined

  constructor(cause: unknown, { exit, hint }: { exit?: number; hint?: string } = {}) {
    super(textOf(cause), { cause })
    this.code = codeOf(cause)
    this.exit = exit ?? exitOf(cause)
    this.hint = hint
  }
}

const USAGE = new Set([
  'ERR_INVALID_SUBJECT',
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_ARG_VALUE',
  'ERR_OUT_OF_RANGE',
  'ERR_UNKNOWN_OPTION',
])
const UNDELIVERED = new Set([
  'ERR_SOCKET_LOST',
  'ERR_SOCKET_TIMEOUT',
  'ERR_SOCKET_ABORTED',
  'ERR_SOCKET_CLOSED_BY_PEER',
  'ERR_SLOW_CONSUMER',
  'ERR_UNDELIVERED',
  'EPIPE',
  'ECONNRESET',
])
const PERMISSION = new Set<string | number>([401, 403, 'ERR_SIGN_IN', 'EACCES'])

export function exitOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage
  if (error instanceof CommandError) return error.exit
  const code = codeOf(error)
  if (code === 503) return EXIT.nobody
  if (code === 408 || code === 'ETIMEDOUT') return EXIT.timeout
  if (code === undefined) return EXIT.failed
  if (PERMISSION.has(code)) return EXIT.permission
  if (USAGE.has(String(code))) return EXIT.usage
  if (UNDELIVERED.has(String(code))) return EXIT.undelivered
  return EXIT.failed
}

export function codeOf(error: unknown): string | number | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' || typeof code === 'number' ? code : undefined
}

export function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replace(LOST_IN_FLIGHT, '$1$2')
}

/** Said of what waits for no time any more, in the words of Conat. */
const LOST_IN_FLIGHT = /^timeout - Error: operation has timed out \((.+?: )(the connection was lost [^)]*)\)/

/** `selvedge: TEXT (CODE)`, and what to try: lines for `tell` (terminal.ts). */
export function report(error: unknown): string[] {
  const code = codeOf(error)
  const text = textOf(error)
  const line = `selvedge: ${text}${code === undefined || text.endsWith(`(${code})`) ? '' : ` (${code})`}`
  const { hint } = error as { hint?: string }
  return hint === undefined ? [line] : [line, `  try: ${hint}`]
}
