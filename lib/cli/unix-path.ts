// What is at the path of a Unix socket.
import { lstatSync, type Stats, statSync } from 'node:fs'

/**
 * Returns what is there in place of a socket; undefined if it is one, or if nothing is there that can be seen. Who
 * connects follows links, who listens does not.
 */
export function inPlaceOfSocket(path: string, user: 'connects' | 'listens'): string | undefined {
  const found = look(path, user === 'connects' ? statSync : lstatSync)
  if (found === undefined || found.isSocket()) return undefined
  if (found.isFile()) return 'a plain file'
  if (found.isDirectory()) return 'a folder'
  return found.isSymbolicLink() ? 'a link' : 'a device or a pipe'
}

function look(path: string, stat: typeof statSync): Stats | undefined {
  try {
    return stat(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}
