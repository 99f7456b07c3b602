// Errors of datagram sockets.
import { argType, codedError, type SystemError, systemError } from '../net/errors'

/** Codes of the fabric, by what they are here. */
export const CODES: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  [403, 'EACCES'],
  [429, 'EMFILE'],
  [408, 'ETIMEDOUT'],
  ['ERR_CLOSED', 'ENETDOWN'],
])

export function notRunning(): Error {
  return codedError('ERR_SOCKET_DGRAM_NOT_RUNNING', 'Not running')
}

/** Checks a time to live as Node and the system do: the range first, of what is left of it as an integer. */
export function checkTtl(syscall: 'setTTL' | 'setMulticastTTL', ttl: unknown): asserts ttl is number {
  if (typeof ttl !== 'number') throw argType('ttl', 'of type number', ttl)
  const least = syscall === 'setTTL' ? 1 : 0
  if ((ttl | 0) < least || (ttl | 0) > 255) throw systemError(syscall, 'EINVAL')
}

/** As Node's of a buffer that the system does not size. */
export function bufferSizeError(isReceive: boolean, code: 'EBADF' | 'EINVAL'): SystemError {
  const syscall = isReceive ? 'uv_recv_buffer_size' : 'uv_send_buffer_size'
  const text = code === 'EBADF' ? 'bad file descriptor' : 'invalid argument'
  const error = systemError(syscall, code)
  error.name = 'SystemError'
  error.code = 'ERR_SOCKET_BUFFER_SIZE'
  error.message = `Could not get or set buffer size: ${syscall} returned ${code} (${text})`
  return error
}
