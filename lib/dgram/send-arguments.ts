// What `send` was called with: bytes, a part of them, where to, and a callback.
import { argType, codedError } from '../net/errors'
import { checkSubject } from '../net/options'
import { Buffer } from '../values/platform'

const KINDS = 'of type string or an instance of Buffer, TypedArray, or DataView'

export type SendCallback = (error: Error | null, bytes?: number) => void

export interface SendCall {
  readonly bytes: Buffer
  readonly subject: string | undefined
  readonly callback: SendCallback | undefined
}

/** The last subject that was found to be one. */
let checked: unknown

/** Splits `(msg, [offset, length,] [subject], callback?)`. */
export function sendArguments([message, ...rest]: readonly unknown[], isConnected: boolean): SendCall {
  const last = rest[rest.length - 1]
  const callback = typeof last === 'function' ? (last as SendCallback) : undefined
  const given = callback === undefined ? rest : rest.slice(0, -1)
  let bytes = bytesOf(message)
  let subject: unknown
  const [first, second, third] = given
  if (typeof first === 'number' && typeof second === 'number') {
    bytes = part(bytes, first, second)
    subject = third
  } else subject = first
  if (subject === undefined) {
    if (!isConnected) throw argType('subject', 'of type string', subject)
  } else {
    // Most go where the one before went.
    // One without a sender has the address '': whoever answers it is told as of other addresses.
    if (subject !== checked && subject !== '') checkSubject('subject', subject)
    checked = subject
    if (isConnected) throw codedError('ERR_SOCKET_DGRAM_IS_CONNECTED', 'Already connected')
  }
  return { bytes, subject: subject as string | undefined, callback }
}

function part(bytes: Buffer, offset: number, length: number): Buffer {
  if (offset < 0 || offset > bytes.length) throw outOfBounds('offset')
  if (length < 0 || offset + length > bytes.length) throw outOfBounds('length')
  return bytes.subarray(offset, offset + length)
}

function outOfBounds(name: string): RangeError {
  const error = new RangeError(`"${name}" is outside of buffer bounds`) as RangeError & { code: string }
  error.code = 'ERR_BUFFER_OUT_OF_BOUNDS'
  return error
}

/** The bytes, copied: they leave later. */
function bytesOf(message: unknown): Buffer {
  if (typeof message === 'string') return Buffer.from(message)
  if (ArrayBuffer.isView(message)) {
    return Buffer.from(Buffer.from(message.buffer, message.byteOffset, message.byteLength))
  }
  if (!Array.isArray(message)) throw argType('buffer', KINDS, message)
  if (!message.every(part => typeof part === 'string' || ArrayBuffer.isView(part))) {
    throw argType('buffer list arguments', KINDS, message)
  }
  return Buffer.concat(message.map(bytesOf))
}
