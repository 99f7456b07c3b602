// Sockets when the broker is gone for good: by itself a socket waits for ever for the connection of its client.
import { type Client, FabricError } from '../index'
import type { AnySocket } from './half-close'

/** Why: the `closed` of a socket that this end has destroyed gives no reason. */
const losses = new WeakMap<AnySocket, FabricError>()

/** Why a socket was given up; undefined if it was not. */
export function lossOf(socket: AnySocket): FabricError | undefined {
  return losses.get(socket)
}

/** Returns what a socket is given to, to be lost when the broker has been away for `time` ms. */
export function lostWithBroker(client: Client, time: number): (socket: AnySocket) => void {
  const open = new Set<AnySocket>()
  const lose = (socket: AnySocket): void => {
    const reason = new FabricError(`the broker has been away for ${time / 1000} s`, 'ERR_SOCKET_LOST')
    losses.set(socket, reason)
    socket.destroy(reason)
  }
  let timer: NodeJS.Timeout | undefined
  let isGone = false
  const begin = (): void => {
    if (client.state === 'closed') return
    timer ??= setTimeout(() => {
      isGone = true
      for (const socket of open) lose(socket)
    }, time)
  }
  const forget = (): void => {
    clearTimeout(timer)
    timer = undefined
    isGone = false
  }
  client.on('disconnected', begin)
  client.on('connected', forget)
  client.once('closed', forget)
  if (client.state !== 'connected') begin()
  return socket => {
    if (isGone) return lose(socket)
    open.add(socket)
    socket.once('closed', () => open.delete(socket))
  }
}
