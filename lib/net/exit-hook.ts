// What the other ends of streams are told when the process ends in the middle.
import { flush } from '../engine/commands'

/** A stream, below what Node.js sees of it. */
interface Cuttable {
  cut(): void
  onGone(handle: () => void): void
}

/** There is a listener of `exit` only while there is a stream: it would keep this copy of the package alive. */
const open = new Set<Cuttable>()

/** Not every link has a word for the end of a process; each stream is cut off by itself. */
export function cutAtExit(stream: Cuttable): void {
  if (open.size === 0) process.on('exit', cutAll)
  open.add(stream)
  stream.onGone(() => {
    if (open.delete(stream) && open.size === 0) process.off('exit', cutAll)
  })
}

function cutAll(): void {
  for (const stream of [...open]) stream.cut()
  flush()
}
