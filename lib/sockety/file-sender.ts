// Sends the content of files that are read as they go: one after another, as fast as the connection takes them.
import { Buffer } from 'node:buffer'
import { FabricError, invalidType } from '../values/errors'
import { isUint8Array } from '../values/platform'
import { FIRST_FILE } from './body'
import type { FileTransfer, Opener } from './file-transfer'
import type { Marked } from './flush'
import type { PartWriter } from './part-writer'

/** Bytes of files that may wait for the connection. */
const WINDOW_BYTES = 1024 * 1024

/** A file that is read as it is sent. */
export interface Pending {
  readonly part: number
  readonly file: FileTransfer
  readonly open: Opener
}

/** Returns the files that are not in memory. Throws if one of them cannot be read again. */
export function pendingFiles(files: readonly FileTransfer[]): Pending[] {
  const pending: Pending[] = []
  for (const [index, file] of files.entries()) {
    const { source } = file
    if ('claim' in source) pending.push({ part: FIRST_FILE + index, file, open: source.claim() })
  }
  return pending
}

/** Resolves when all has been handed over; rejects when a file cannot be read as it was announced. */
export async function sendFiles(
  pending: readonly Pending[],
  writer: PartWriter,
  allowMismatch: boolean,
): Promise<void> {
  for (const file of pending) await sendFile(file, writer, allowMismatch)
}

async function sendFile(
  { part, file, open }: Pending,
  writer: PartWriter,
  allowMismatch: boolean,
): Promise<void> {
  const window = new Window()
  let size = 0
  for await (const chunk of open()) {
    const bytes: unknown = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (!isUint8Array(bytes))
      throw invalidType(`what the file '${file.name}' gives`, 'a Buffer or a string', chunk)
    if (bytes.length === 0) continue
    size += bytes.length
    if (size > file.size && !allowMismatch) throw mismatch(file, `more than ${file.size} bytes`)
    await window.room()
    writer.write(part, bytes, window.take(bytes.length))
  }
  if (size < file.size && !allowMismatch) throw mismatch(file, `${size} bytes, not ${file.size}`)
  writer.end(part)
}

function mismatch(file: FileTransfer, what: string): FabricError {
  return new FabricError(`the file '${file.name}' has ${what}`, 'ERR_SOCKETY_FILE_SIZE')
}

/** Bytes that have been written and have not left. */
class Window {
  #waiting = 0
  #error: Error | undefined
  #wake: (() => void) | undefined

  /** Resolves when more may be written. */
  async room(): Promise<void> {
    while (this.#error === undefined && this.#waiting >= WINDOW_BYTES) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    if (this.#error !== undefined) throw this.#error
  }

  take(bytes: number): Marked {
    this.#waiting += bytes
    return {
      done: () => {
        this.#waiting -= bytes
        this.#wake?.()
      },
      fail: error => {
        this.#error = error
        this.#wake?.()
      },
    }
  }
}
