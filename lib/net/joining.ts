// Two byte streams joined: bytes, halves, back-pressure and resets go through, and nothing is kept in between.
import type { Duplex } from 'node:stream'
import type { BridgeStats } from '../../types/net'

/** A stream that can be cut off, as the sockets of both `net`s can. */
interface Resettable extends Duplex {
  resetAndDestroy?(): unknown
}

export function newStats(): { -readonly [Name in keyof BridgeStats]: number } {
  return { connections: 0, active: 0, refused: 0, bytesIn: 0, bytesOut: 0 }
}

/** Joins them. `outer` is who connected: what it says counts as `bytesIn`. */
export function join(outer: Resettable, inner: Resettable, stats: ReturnType<typeof newStats>): void {
  stats.connections += 1
  stats.active += 1
  // The end of one side is no end of the other, whatever they were made for.
  outer.allowHalfOpen = inner.allowHalfOpen = true
  let open = 2
  const handleClose = (): void => {
    open -= 1
    if (open === 0) stats.active -= 1
  }
  link(outer, inner, handleClose)
  link(inner, outer, handleClose)
  outer.on('data', (chunk: Buffer) => {
    stats.bytesIn += chunk.length
  })
  inner.on('data', (chunk: Buffer) => {
    stats.bytesOut += chunk.length
  })
}

/** What `from` says and how it ends goes to `to`. */
function link(from: Resettable, to: Resettable, handleClose: () => void): void {
  from.pipe(to)
  // The other one is told: by a reset where it knows one.
  from.on('error', () => cutOff(to))
  from.on('close', () => {
    handleClose()
    if (!from.readableEnded) cutOff(to)
    else if (!to.writableEnded) to.end()
  })
}

export function cutOff(stream: Resettable): void {
  if (stream.destroyed) return
  try {
    if (stream.resetAndDestroy !== undefined) {
      stream.resetAndDestroy()
      return
    }
  } catch {
    // Node's sockets on a path know no reset.
  }
  stream.destroy()
}
