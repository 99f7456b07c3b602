// Files to send.
import { Buffer } from 'node:buffer'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import { FabricError, invalidType, invalidValue, outOfRange } from '../values/errors'
import { isUint8Array } from '../values/platform'
import { tooBig } from './errors'

const MAX_NAME_BYTES = 0xffff
const MAX_FILE_BYTES = 2 ** 48 - 1
/** Read from a file at once. */
const READ_BYTES = 256 * 1024

/** Bytes, or what makes a reader of them: `claim` throws if that cannot be done again. */
export type Source = { readonly bytes: Uint8Array } | { claim(): Opener }
export type Opener = () => AsyncIterable<Uint8Array | string>

export class FileTransfer {
  readonly name: string
  readonly size: number
  /** UTF-8. @internal */
  readonly nameBytes: Uint8Array
  /** @internal */
  readonly source: Source

  private constructor(name: string, size: number, source: Source) {
    if (typeof name !== 'string') throw invalidType('name', 'a string', name)
    if (typeof size !== 'number') throw invalidType('size', 'a number', size)
    if (!Number.isInteger(size) || size < 0 || size > MAX_FILE_BYTES) {
      throw outOfRange('size', `an integer from 0 to ${MAX_FILE_BYTES}`, size)
    }
    this.name = name
    this.size = size
    this.nameBytes = Buffer.from(name)
    if (this.nameBytes.length > MAX_NAME_BYTES) throw tooBig('file name')
    this.source = source
  }

  /** A file in memory. */
  static buffer(buffer: Uint8Array, name: string): FileTransfer {
    if (!isUint8Array(buffer)) throw invalidType('buffer', 'a Buffer', buffer)
    return new FileTransfer(name, buffer.length, { bytes: buffer })
  }

  /** A file that is read from a stream, once. */
  static stream(stream: Readable, size: number, name: string): FileTransfer {
    if (typeof (stream as Readable | null)?.[Symbol.asyncIterator] !== 'function') {
      throw invalidType('stream', 'a Readable', stream)
    }
    let isUsed = false
    const claim = (): Opener => {
      if (isUsed) {
        throw new FabricError('FileTransfer with stream may be used only once.', 'ERR_INVALID_ARG_VALUE')
      }
      isUsed = true
      return () => stream
    }
    return new FileTransfer(name, size, { claim })
  }

  /** A file of the file system: its size is read now, and its content each time it is sent. */
  static async fs(path: string, name: string = basename(path)): Promise<FileTransfer> {
    const stats = await stat(path)
    // Their size is not what can be read of them.
    if (!stats.isFile()) throw invalidValue('path', 'a file', path)
    const { size } = stats
    return new FileTransfer(name, size, {
      claim: () => () => createReadStream(path, { highWaterMark: READ_BYTES }),
    })
  }

  /** Takes either form of a list of files. @internal */
  static list(files: unknown): readonly FileTransfer[] {
    if (!Array.isArray(files)) throw invalidType('files', 'an array', files)
    return files.map(file => (file instanceof FileTransfer ? file : FileTransfer.#plain(file)))
  }

  static #plain(file: unknown): FileTransfer {
    if (file === null || typeof file !== 'object') throw invalidType('file', 'a FileTransfer', file)
    if (file instanceof Promise) {
      throw invalidType('file', 'a FileTransfer, and not a promise: await FileTransfer.fs()', file)
    }
    const { name, buffer, stream, size } = file as { [key: string]: unknown }
    if (buffer !== undefined) return FileTransfer.buffer(buffer as Uint8Array, name as string)
    return FileTransfer.stream(stream as Readable, size as number, name as string)
  }
}
