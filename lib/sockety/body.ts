// What a received message has beside its header: parts, which are read one by one, and given out as they are read.
import { Buffer } from 'node:buffer'
import * as commands from './commands'
import { departure } from './departures'
import { partLost, wasAborted, wasDiscarded } from './errors'

/** Numbers of parts: files count on from here. */
export const DATA = 0
export const STREAM = 1
export const FIRST_FILE = 2

export interface FileInfo {
  readonly name: string
  readonly size: number
}

/** Whoever reads a part, or will. */
export interface Sink {
  /** Whether it has begun. */
  readonly isReading: boolean
  handleBytes(bytes: Buffer): void
  handleEnd(): void
  handleFailure(error: Error): void
}

/** The body of a message, from its announcement until all of it has been read or dropped. */
export class Body {
  readonly number: number
  readonly dataSize: number
  readonly hasStream: boolean
  readonly filesCount: number
  readonly filesSize: number
  /** Those that are known: their headers may come later than the rest. */
  readonly files: FileInfo[] = []
  readonly #connection: number
  readonly #onDone: (number: number) => void
  readonly #sinks = new Map<number, Sink>()
  /** Parts of which nothing more comes: why, if not because all of it has. */
  readonly #closed = new Map<number, Error | null>()
  #dataLeft: number

  constructor(
    connection: number,
    number: number,
    sizes: { dataSize: number; hasStream: boolean; filesCount: number; filesSize: number },
    onDone: (number: number) => void,
  ) {
    this.#connection = connection
    this.number = number
    this.dataSize = sizes.dataSize
    this.hasStream = sizes.hasStream
    this.filesCount = sizes.filesCount
    this.filesSize = sizes.filesSize
    this.#dataLeft = sizes.dataSize
    this.#onDone = onDone
  }

  /** Whether somebody waits for more of it. */
  get isBeingRead(): boolean {
    return [...this.#sinks.keys()].some(part => this.#isOpen(part))
  }

  /** Gives a part to `sink` from now on. */
  attach(part: number, sink: Sink): void {
    const why = this.#closed.get(part)
    if (why) sink.handleFailure(why)
    else if (why === null) sink.handleEnd()
    else this.#sinks.set(part, sink)
  }

  /** Asks for so many more bytes. */
  read(part: number, bytes: number): void {
    if (this.#isOpen(part)) commands.read(this.#connection, this.number, part, bytes)
  }

  /** Nobody wants this part any more. */
  drop(part: number, why: Error = wasDiscarded()): void {
    if (!this.#isOpen(part)) return
    commands.discard(this.#connection, this.number, part)
    this.#close(part, why)
  }

  /** Nobody wants what nobody has begun to read. */
  dropUntouched(): void {
    if (this.#sinks.size === 0) {
      this.dropAll()
      return
    }
    const untouched = [...this.#open()].filter(part => !this.#sinks.get(part)?.isReading)
    if (untouched.length === 0) return
    const why = wasDiscarded()
    for (const part of untouched) this.drop(part, why)
  }

  /** Nobody wants anything any more. */
  dropAll(): void {
    const open = [...this.#open()]
    if (open.length === 0) return
    commands.discard(this.#connection, this.number)
    const error = wasDiscarded()
    for (const part of open) this.#close(part, error)
  }

  handleBytes(part: number, bytes: Buffer): void {
    if (!this.#isOpen(part)) return
    this.#sinks.get(part)?.handleBytes(bytes)
    if (part !== DATA) return
    this.#dataLeft -= bytes.length
    if (this.#dataLeft === 0) this.handleEnd(DATA)
  }

  handleEnd(part: number): void {
    if (this.#isOpen(part)) this.#close(part, null)
  }

  /** Nothing more comes but what is left of `whole`. */
  handleAborted(byPeer: boolean, whole: readonly number[]): void {
    const rest = new Set(whole)
    const lost = [...this.#open()].filter(part => !rest.has(part))
    // There may be thousands: an error for each would take longer than all the rest.
    const errors = new Map<string, Error>()
    for (const part of lost) {
      const name = nameOf(part)
      const error = errors.get(name) ?? (byPeer ? wasAborted() : partLost(name))
      errors.set(name, departure(error, this.#connection))
      this.#close(part, error)
    }
  }

  /** The engine has nothing more of it. */
  handleGone(): void {
    this.handleAborted(false, [])
  }

  #close(part: number, why: Error | null): void {
    this.#closed.set(part, why)
    const count = (this.dataSize > 0 ? 1 : 0) + (this.hasStream ? 1 : 0) + this.filesCount
    if (this.#closed.size === count) this.#onDone(this.number)
    const sink = this.#sinks.get(part)
    if (why === null) sink?.handleEnd()
    else sink?.handleFailure(why)
  }

  #isOpen(part: number): boolean {
    return !this.#closed.has(part)
  }

  *#open(): Generator<number> {
    if (this.dataSize > 0 && this.#isOpen(DATA)) yield DATA
    if (this.hasStream && this.#isOpen(STREAM)) yield STREAM
    for (let part = FIRST_FILE; part < FIRST_FILE + this.filesCount; part++) {
      if (this.#isOpen(part)) yield part
    }
  }
}

function nameOf(part: number): string {
  return part === DATA ? 'data' : part === STREAM ? 'stream' : 'file'
}

/** Collects a part. */
export class Collector implements Sink {
  readonly isReading = true
  readonly #chunks: Buffer[] = []
  readonly #resolve: (bytes: Buffer) => void
  readonly #reject: (error: Error) => void

  constructor(resolve: (bytes: Buffer) => void, reject: (error: Error) => void) {
    this.#resolve = resolve
    this.#reject = reject
  }

  handleBytes(bytes: Buffer): void {
    this.#chunks.push(bytes)
  }

  handleEnd(): void {
    const [only] = this.#chunks
    this.#resolve(this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks))
  }

  handleFailure(error: Error): void {
    this.#reject(error)
  }
}
