// Servers that take connections from elsewhere, on a subject: those of http, https, http2, tls, ws and ssh2.
import type { EventEmitter } from 'node:events'
import { Server as TlsServer } from 'node:tls'
import type { ServerOptions, ServeTarget } from '../../types/net'
import { argType } from './errors'
import { joinedOptions } from './options'
import { Server } from './server'
import type { Socket } from './socket'
import { beginHandshake, endHandshakesOf } from './tls-turns'

/** Returns a server that hands its connections to `target`. */
export function serverFor(target: ServeTarget, options: ServerOptions): Server {
  const { injectSocket } = (target ?? {}) as { injectSocket?: (socket: Socket) => void }
  const isInjected = typeof injectSocket === 'function'
  if (!isInjected && typeof (target as EventEmitter | undefined)?.emit !== 'function') {
    throw argType('target', 'a server, such as http.createServer() returns', target)
  }
  const emitter = target as EventEmitter & { allowHalfOpen?: boolean; listening?: boolean }
  const server = new Server(joinedOptions({ allowHalfOpen: emitter.allowHalfOpen ?? false }, options))
  const isTls = target instanceof TlsServer
  if (isTls) server.once('close', endHandshakesOf(target))
  server.on('connection', (socket: Socket) => {
    if (isTls) beginHandshake(socket)
    if (isInjected) injectSocket.call(target, socket)
    else emitter.emit('connection', socket)
  })
  // Some of its timers begin with it. One that listens elsewhere as well has had it, or will.
  server.once('listening', () => {
    if (emitter.listening === false) emitter.emit('listening')
  })
  return server
}
