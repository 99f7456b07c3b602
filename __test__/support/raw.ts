// Sockets of node:net that say what they like.
import type { Socket } from 'node:net'

/** Resolves when it is closed, in whatever way: who is not wanted may be cut off in the middle of a word. */
export function closed(socket: Socket): Promise<void> {
  return new Promise(resolve => {
    socket.on('error', () => {})
    socket.once('close', () => resolve())
    socket.resume()
  })
}
