// One message between its encoding and its place in a batch.
import type { Headers } from '../../index'
import {
  BIN8,
  byteLengthOf,
  checkAttached,
  DataEncoding,
  encodeJson,
  encodeMsgPack,
  isShortAscii,
} from '../values/codec'
import { parseHeaders } from '../values/headers'
import { Buffer, isUint8Array } from '../values/platform'
import type { Batch } from './batch'

/** Up to this length a loop over bytes is faster than the native copy. */
const SHORT_BYTES = 32

/**
 * Headers and an encoded payload, valid until the next `prepare` of the same object. Encoding may run getters
 * of the user, so all of it happens in `prepare`; from there to `writeTo` or `writePart` no code of the user
 * may run.
 */
export class Outgoing {
  /** As JSON. */
  headers: string | null = null
  /** Bytes of the encoded payload. */
  length = 0
  /** How long it is worth reading, in ms. */
  ttl: number | undefined
  #encoding = 0
  /** Bytes of the text or the binary value alone. */
  #size = 0
  #bytes: Uint8Array | undefined
  #text: string | undefined
  #isBin = false

  /** Returns itself. `raw` is an encoded payload, in place of the value. */
  prepare(headers: string | null, value: unknown, encoding: number, raw: Uint8Array | undefined): this {
    let bytes: Uint8Array | undefined
    let text: string | undefined
    let isBin = false
    if (raw !== undefined) bytes = raw
    else if (encoding !== DataEncoding.MsgPack) bytes = encodeJson(value)
    // Checked by the JavaScript engine and not with `instanceof`, which runs user code for a Proxy.
    else if (isUint8Array(value)) {
      bytes = value
      isBin = true
    } else if (typeof value === 'string' && isShortAscii(value)) text = value
    else bytes = encodeMsgPack(value)
    if (bytes !== undefined) checkAttached(bytes)
    this.headers = headers
    this.#encoding = encoding
    this.#bytes = bytes
    this.#text = text
    this.#isBin = isBin
    const size = bytes === undefined ? (text as string).length + 1 : byteLengthOf.call(bytes)
    this.#size = size
    this.length = isBin ? size + binHeader(size) : size
    return this
  }

  /** Bytes that the message takes of a socket's window. The engine counts the same. */
  get size(): number {
    return this.headers === null ? this.length : this.length + Buffer.byteLength(this.headers)
  }

  /** Writes it as one of several messages: lengths, headers, encoding and payload. */
  writePart(batch: Batch): void {
    const { headers } = this
    if (headers === null) batch.varint(this.length * 2)
    else {
      batch.varint(this.length * 2 + 1)
      batch.varint(Buffer.byteLength(headers))
      batch.text(headers)
    }
    batch.u8(this.#encoding)
    this.#write(batch)
  }

  /**
   * Writes it as the request or the answer with this key, one of several messages; a request has a timeout, in
   * ms.
   */
  writeItem(batch: Batch, kind: number, key: number, timeout: number | undefined): void {
    const { headers } = this
    const head = varintLength(key) + (timeout === undefined ? 1 : varintLength(timeout) + 1)
    const length = head + this.length
    if (headers === null) batch.varint(length * 2)
    else {
      batch.varint(length * 2 + 1)
      batch.varint(Buffer.byteLength(headers))
      batch.text(headers)
    }
    batch.u8(kind)
    batch.varint(key)
    if (timeout !== undefined) batch.varint(timeout)
    batch.u8(this.#encoding)
    this.#write(batch)
  }

  /** Writes it as the end of a record: headers, encoding and payload. */
  writeTo(batch: Batch): void {
    batch.optStr(this.headers)
    batch.u8(this.#encoding)
    this.#write(batch)
  }

  /** Returns a copy, with its headers as they would arrive. */
  copy(): { encoding: number; raw: Buffer; headers: Headers | null | undefined } {
    const headers = this.headers === null ? undefined : parseHeaders(this.headers)
    return { encoding: this.#encoding, raw: this.#copyPayload(), headers }
  }

  #copyPayload(): Buffer {
    if (this.#text !== undefined) {
      const copy = Buffer.from(`\0${this.#text}`, 'latin1')
      copy[0] = 0xa0 | this.#text.length
      return copy
    }
    const copy = Buffer.allocUnsafeSlow(this.length)
    const start = this.length - this.#size
    if (this.#isBin) {
      copy[0] = BIN8 + ((start - 1) >> 1)
      copy.writeUIntBE(this.#size, 1, start - 1)
    }
    copy.set(this.#bytes as Uint8Array, start)
    return copy
  }

  #write(batch: Batch): void {
    if (this.#text !== undefined) {
      batch.u8(0xa0 | this.#text.length)
      batch.text(this.#text)
      return
    }
    const bytes = this.#bytes as Uint8Array
    const size = this.#size
    if (this.#isBin) writeBinHeader(batch, size)
    if (size <= SHORT_BYTES) batch.shortBytes(bytes, size)
    else batch.bytes(bytes, size)
    this.#bytes = undefined
  }
}

export function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length += 1
  return length
}

function binHeader(length: number): number {
  return length < 0x100 ? 2 : length < 0x10000 ? 3 : 5
}

function writeBinHeader(batch: Batch, length: number): void {
  const size = binHeader(length) - 1
  batch.u8(BIN8 + (size >> 1))
  for (let shift = (size - 1) * 8; shift >= 0; shift -= 8) batch.u8(length >>> shift)
}
