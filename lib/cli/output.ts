// What becomes of a command whose stdout or stderr cannot be written to any more.
import { EXIT, report } from './failure'
import { requestStop } from './stopping'
import { tell } from './terminal'

/** How long what was begun may take to end when nobody reads its output, in ms. */
const MAX_END = 15_000

let failure: NodeJS.ErrnoException | undefined

/**
 * Stops the command in order when its stdout fails: in silence if its reader has gone away (`| head -1`), which is no
 * failure; else, as on a full disk, it is reported on stderr. A stderr that fails changes nothing but what is
 * said.
 */
export function watchOutput(): void {
  process.stderr.on('error', () => {})
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (failure !== undefined) return
    failure = error
    if (error.code !== 'EPIPE') {
      const told = Object.assign(Error(`cannot write to stdout: ${error.message}`), { code: error.code })
      tell(...report(told))
    }
    requestStop()
    setTimeout(() => process.exit(exitWith(EXIT.done)), MAX_END).unref()
  })
}

/** Whether nobody can read what the command prints: what that leads to need not be told. */
export function hasLostOutput(): boolean {
  return failure !== undefined
}

/** What the other side of a socket is told of a stdout that fails; nothing if its reader has gone away. */
export function outputFailure(): string | undefined {
  if (failure === undefined || failure.code === 'EPIPE') return undefined
  return `cannot write to stdout: ${failure.message}`
}

/** The exit code of a command that has ended with `code`, stdout considered. */
export function exitWith(code: number): number {
  if (failure === undefined) return code
  return failure.code === 'EPIPE' ? EXIT.done : EXIT.failed
}
