// A `write` in place of that of a stream, as Node has it.
import { Duplex } from 'node:stream'
import { type Buffer, nextTick } from '../values/platform'
import { codedError } from './errors'

type Done = (error?: Error | null) => void

/** A write to an end that has said that it takes part no more. */
export function writeAfterFin(
  this: Duplex,
  chunk: unknown,
  encoding?: BufferEncoding | Done,
  callback?: Done,
): boolean {
  if (!this.writableEnded) {
    return Duplex.prototype.write.call(this, chunk as Buffer, encoding as BufferEncoding, callback)
  }
  const done = typeof encoding === 'function' ? encoding : callback
  const error = codedError('EPIPE', 'This socket has been ended by the other party')
  if (typeof done === 'function') nextTick(() => done(error))
  this.destroy(error)
  return false
}
