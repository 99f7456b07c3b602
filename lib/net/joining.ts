// Two byte streams joined: bytes, halves, back-pressure and resets go through, and nothing is kept in between.
import { Socket as TcpSocket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { BridgeStats } from '../../types/net'
import { native } from '../engine/native'

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
  for (const stream of [outer, inner]) resetIfKilled(stream)
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

/**
 * The system ends the connections of a process that is killed, as if all had been said. Until that is so, it is to reset
 * those of TCP; it cannot those on a path.
 */
function resetIfKilled(stream: Resettable): void {
  if (!(stream instanceof TcpSocket)) return
  const { _handle: handle } = stream as unknown as { _handle?: { fd?: number } | null }
  const descriptor = handle?.fd
  if (descriptor === undefined || !native.resetOnClose(descriptor, true)) return
  // Before it is closed: what the system has not sent yet would be lost with a reset.
  stream.once('finish', () => {
    if (!stream.destroyed) native.resetOnClose(descriptor, false)
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
