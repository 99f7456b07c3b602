// Reading into a buffer of the application's (option `onread`), in place of `data`.
import type { OnReadOptions } from '../../types/net'
import { type Buffer, isUint8Array } from '../values/platform'
import { argType } from './errors'

export class OnRead {
  readonly #next: (() => Uint8Array) | undefined
  readonly #handle: (size: number, buffer: Uint8Array) => boolean
  #buffer: Uint8Array
  #rest: Buffer | undefined

  /** The callback of `options` is called on `socket`. */
  constructor(options: OnReadOptions, socket: object) {
    if (typeof options !== 'object' || options === null)
      throw argType('options.onread', 'of type object', options)
    const { buffer, callback } = options
    if (typeof buffer !== 'function' && !isUint8Array(buffer)) {
      throw argType('options.onread.buffer', 'an instance of Buffer or Uint8Array', buffer)
    }
    if (typeof callback !== 'function') throw argType('options.onread.callback', 'of type function', callback)
    this.#handle = callback.bind(socket)
    this.#next = typeof buffer === 'function' ? buffer : undefined
    this.#buffer = typeof buffer === 'function' ? buffer() : buffer
  }

  /** Whether something waits for `resume`. */
  get hasRest(): boolean {
    return this.#rest !== undefined
  }

  /** Hands bytes over. Returns whether it takes more. */
  push(bytes: Buffer): boolean {
    let left: Buffer | undefined = bytes
    while (left !== undefined) {
      const size = Math.min(left.length, this.#buffer.length)
      if (size === 0) break
      this.#buffer.set(left.subarray(0, size))
      left = size < left.length ? left.subarray(size) : undefined
      const goesOn = this.#handle(size, this.#buffer) !== false
      const next = this.#next
      if (next !== undefined) this.#buffer = next()
      if (goesOn) continue
      this.#rest = left
      return false
    }
    return true
  }

  /** Hands over what was left. Returns whether it takes more. */
  resume(): boolean {
    const rest = this.#rest
    this.#rest = undefined
    return rest === undefined || this.push(rest)
  }
}
