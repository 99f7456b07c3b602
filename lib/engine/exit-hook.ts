// What was written in the last tick of a process.
import { flush } from './commands'

/** There is a listener of `exit` only while there is a client: it would keep this copy of the package alive. */
const open = new Set<number>()

/** Hands over what a client has to say when the process ends. */
export function flushAtExit(client: number): void {
  if (open.size === 0) process.on('exit', flush)
  open.add(client)
}

export function forgetAtExit(client: number): void {
  if (open.delete(client) && open.size === 0) process.off('exit', flush)
}
