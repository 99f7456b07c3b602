// The last words of clients that are open when the process ends.
import { clientLeave, flush } from './commands'

/** There is a listener of `exit` only while there is a client: it would keep this copy of the package alive. */
const open = new Set<number>()

export function leaveAtExit(client: number): void {
  if (open.size === 0) process.on('exit', leave)
  open.add(client)
}

export function forgetAtExit(client: number): void {
  if (open.delete(client) && open.size === 0) process.off('exit', leave)
}

/** Hands over what was written in the last tick, and says that nobody is to wait for a return. */
function leave(): void {
  for (const client of open) clientLeave(client)
  flush()
}
