// What is written to every socket of a server: encoded once, and not given to those that have no room.
import type { Headers, WriteOptions } from '../../index'
import * as commands from '../engine/commands'
import type { ClientContext } from '../messaging/client-context'
import { prepare } from '../messaging/prepare'
import { socketHeadersText } from '../values/headers'
import { writeOptions } from './options'
import type { ServerSocket } from './server-socket'
import { fullSockets } from './window'

/** Returns whether all have more than half of their window free. Throws if some did not get it. */
export function writeToAll(
  sockets: readonly ServerSocket[],
  context: ClientContext,
  maxBytes: number,
  [data, second]: readonly [data: unknown, second: Headers | WriteOptions | null | undefined],
): boolean {
  const options = writeOptions(second)
  const isVolatile = options?.volatile === true
  const message = prepare(data, options, maxBytes, socketHeadersText)
  const { size } = message
  const full: ServerSocket[] = []
  const taking: ServerSocket[] = []
  for (const socket of sockets) {
    if (socket.ended) continue
    const isFull = socket.outbox.refusal(size) !== undefined || (isVolatile && socket.state !== 'ready')
    const list = isFull ? full : taking
    list.push(socket)
  }
  let hasRoom = full.length === 0
  if (taking.length > 0) {
    const handles = taking.map(socket => socket.engineHandle)
    commands.broadcast(context.handle, handles, message, isVolatile)
    context.countSent(message.length)
    for (const socket of taking) if (!socket.outbox.countWrite(size, isVolatile)) hasRoom = false
  }
  if (full.length === 0) return hasRoom
  if (!isVolatile) throw fullSockets(full)
  for (const socket of full) socket.outbox.countDropped()
  return false
}
