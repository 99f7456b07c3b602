// A subject on a TCP or Unix socket.
import nodeNet from 'node:net'
import type { BridgeStats, ForwardOptions, NodePlace } from '../../types/net'
import { cutOff, join, newStats } from './joining'
import { OpenStreams } from './open-streams'
import { checkNetOptions } from './option-checks'
import { Socket } from './socket'
import { type DrainOptions, drained } from './waits'

/** A server of Node's that forwards. */
export type ForwardingServer = nodeNet.Server & {
  readonly stats: BridgeStats
  drain(options?: DrainOptions): Promise<void>
}

/** Listens at `place`, and connects every connection to `subject`. */
export function forwardTo(subject: string, place: NodePlace, options: ForwardOptions): ForwardingServer {
  checkNetOptions(options)
  const stats = newStats()
  const open = new OpenStreams()
  const settings = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true }
  const server = nodeNet.createServer(settings, outer => {
    open.add(outer)
    const inner = new Socket({ ...options, allowHalfOpen: true }).connect({ ...options, subject })
    outer.on('error', () => {})
    const handleClose = (): void => {
      inner.destroy()
    }
    outer.once('close', handleClose)
    const handleFailure = (error: Error): void => {
      stats.refused += 1
      cutOff(outer)
      server.emit('refused', error)
    }
    inner.once('error', handleFailure)
    inner.once('connect', () => {
      outer.off('close', handleClose)
      open.add(inner)
      inner.off('error', handleFailure).on('error', () => {})
      join(outer, inner, stats)
      server.emit('joined')
    })
  })
  server.maxConnections = options.maxConnections ?? server.maxConnections
  Object.defineProperty(server, 'stats', { get: () => ({ ...stats }) })
  const all = server as ForwardingServer
  all.drain = options => drained(server, open, options)
  // As many as Linux takes by default: where the queue is full, whoever comes is not told, and tries again after a second.
  server.listen({ backlog: 4096, ...('path' in place ? place : { host: '127.0.0.1', ...place }) })
  return all
}
