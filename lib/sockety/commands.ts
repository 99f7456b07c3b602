// Commands to Sockety connections: everything that is written in one tick goes down in one call, as records of many
// operations each (docs/internals/boundary.md).
import { Batch } from '../engine/batch'
import { flushAfterEvents } from '../engine/events'
import * as kinds from '../engine/kinds'
import { native } from '../engine/native'
import { nextTick } from '../values/platform'
import type { FileTransfer } from './file-transfer'
import { ATTACHED_BYTES, FixedData } from './fixed-data'
import type { Plan } from './producer'
import { putId, type UUID } from './uuid'

const EXPECTS_RESPONSE = 1
const STREAM_OPEN = 2
const STREAM_ENDED = 4
const FILES = 8
const RESPONSE = 16

/** Of a message as a whole, in DISCARD. */
const ALL_PARTS = 0xffffffff
const ATTACHED = 0xffffffff
/** Up to this length a loop over bytes is faster than the native copy. */
const SHORT_BYTES = 32
/** A batch over this goes at once, so that the engine can start on it. */
const FLUSH_AT = 256 * 1024
/** Bytes that may wait to be sent on one connection. */
const MAX_UNSENT = 64 * 1024 * 1024
/** The same while more bytes than `MAX_PENDING` wait on all connections together. */
const MAX_UNSENT_OF_MANY = 4 * 1024 * 1024
const MAX_PENDING = 256 * 1024 * 1024

/** Whoever wants a last word before a batch goes. */
interface Marker {
  putMark(): void
}

const batch = new Batch()
const markers: Marker[] = []
/** The connection whose record is open. */
let current = 0
let isScheduled = false
let pending = 0
let attached = 0
/** Batches that have gone. */
let batches = 0

flushAfterEvents(flush)

/** Hands over what has been written so far. */
export function flush(): void {
  isScheduled = false
  putMarks()
  if (batch.pos > 0) submit()
}

function putMarks(): void {
  for (const marker of markers) marker.putMark()
  markers.length = 0
}

/** The same, and learns what the engine has sent meanwhile. */
function submitAll(): void {
  putMarks()
  submit()
}

/** Has `marker` called once before the next batch goes. */
export function beforeFlush(marker: Marker): void {
  markers.push(marker)
  schedule()
}

/** What one connection knows of the bytes that wait on it. */
export class Backlog {
  readonly #connection: number
  #batch = 0
  #excess = 0

  constructor(connection: number) {
    this.#connection = connection
  }

  /** Returns how many bytes wait to be sent, if they are more than may; else 0. */
  get excess(): number {
    return pending + attached + batch.pos <= MAX_UNSENT_OF_MANY ? 0 : this.#look()
  }

  /** Asks the engine once a batch, and as long as they are too many. */
  #look(): number {
    if (this.#batch === batches && this.#excess === 0) return 0
    if (pending > MAX_PENDING || this.#excess > 0) submitAll()
    const most = pending > MAX_PENDING ? MAX_UNSENT_OF_MANY : MAX_UNSENT
    const unsent = native.socketyUnsent(this.#connection)
    this.#batch = batches
    this.#excess = unsent > most ? unsent : 0
    return this.#excess
  }
}

function submit(): void {
  if (current !== 0) batch.end()
  current = 0
  attached = 0
  batches += 1
  pending = native.submit(batch.take())
}

function schedule(): void {
  if (isScheduled) return
  isScheduled = true
  nextTick(flush)
}

/** Begins an operation, with room for `bytes`. */
function begin(connection: number, operation: number, bytes: number): void {
  if (current !== connection) {
    if (current !== 0) batch.end()
    batch.begin(kinds.SOCKETY_OPERATIONS, connection)
    current = connection
  }
  batch.reserve(bytes + 1)
  batch.buf[batch.pos++] = operation
}

function end(): void {
  if (batch.pos + attached >= FLUSH_AT) flush()
  else if (!isScheduled) schedule()
}

/** Sends a message. `number`: names it in what follows, 0 if nothing does; `request`: who waits for its answer, or 0. */
export function send(
  connection: number,
  plan: Plan,
  id: UUID,
  request: number,
  number: number,
  hasOpenStream: boolean,
  mark: number,
): void {
  const { action, parent, data, files, hasStream } = plan
  let flags = request === 0 ? 0 : EXPECTS_RESPONSE
  if (hasStream) flags |= hasOpenStream ? STREAM_OPEN : STREAM_ENDED
  if (files !== undefined && files.length > 0) flags |= FILES
  if (parent !== undefined) flags |= RESPONSE
  begin(connection, kinds.SOCKETY_SEND, 48)
  batch.buf[batch.pos++] = flags
  putId(batch.buf, batch.pos, id)
  batch.pos += 16
  if (request !== 0) batch.u32(request)
  if (number !== 0 || flags & (STREAM_OPEN | FILES)) {
    batch.u32(number)
    batch.u32(mark)
  }
  if (parent !== undefined) {
    putId(batch.buf, batch.pos, parent)
    batch.pos += 16
  } else {
    const bytes = action as Uint8Array
    const { length } = bytes
    batch.reserve(length + 6)
    batch.buf[batch.pos++] = length
    batch.buf[batch.pos++] = length >>> 8
    if (length <= SHORT_BYTES) batch.shortBytes(bytes, length)
    else batch.bytes(bytes, length)
  }
  putBytes(data)
  if (flags & FILES) putFiles(files as readonly FileTransfer[])
  end()
}

function putFiles(files: readonly FileTransfer[]): void {
  batch.u32(files.length)
  for (const { nameBytes, size, source } of files) {
    batch.f64(size)
    batch.u32(nameBytes.length)
    batch.bytes(nameBytes, nameBytes.length)
    const isWhole = 'bytes' in source
    batch.u8(isWhole ? 1 : 0)
    if (isWhole) putBytes(source.bytes)
  }
}

/** Writes bytes, or where they are. */
function putBytes(data: Uint8Array | FixedData | undefined): void {
  const length = data === undefined ? 0 : data.length
  if (length >= ATTACHED_BYTES) {
    attached += length
    batch.u32(ATTACHED)
    batch.u32(data instanceof FixedData ? data.attach() : native.socketyAttach(data as Uint8Array))
    return
  }
  batch.u32(length)
  const bytes = data instanceof FixedData ? data.bytes : data
  if (length > SHORT_BYTES) batch.bytes(bytes as Uint8Array, length)
  else if (length > 0) batch.shortBytes(bytes as Uint8Array, length)
}

export function fastReply(connection: number, id: UUID, code: number): void {
  begin(connection, kinds.SOCKETY_FAST_REPLY, 18)
  const { buf, pos } = batch
  buf[pos] = code
  buf[pos + 1] = code >>> 8
  putId(buf, pos + 2, id)
  batch.pos = pos + 18
  end()
}

/** Writes more of a stream or file. */
export function write(
  connection: number,
  number: number,
  part: number,
  bytes: Uint8Array,
  mark: number,
): void {
  begin(connection, kinds.SOCKETY_WRITE, 20)
  batch.u32(number)
  batch.u32(part)
  batch.u32(mark)
  putBytes(bytes)
  end()
}

export function endPart(connection: number, number: number, part: number, mark: number): void {
  begin(connection, kinds.SOCKETY_END, 12)
  batch.u32(number)
  batch.u32(part)
  batch.u32(mark)
  end()
}

/** Gives up a message to which something would follow. */
export function abort(connection: number, number: number): void {
  begin(connection, kinds.SOCKETY_ABORT, 4)
  batch.u32(number)
  end()
}

/** Reads more of a received message. */
export function read(connection: number, number: number, part: number, bytes: number): void {
  begin(connection, kinds.SOCKETY_READ, 16)
  batch.u32(number)
  batch.u32(part)
  batch.f64(bytes)
  end()
}

/** Drops a part of a received message, or what is left of all of it. */
export function discard(connection: number, number: number, part = ALL_PARTS): void {
  begin(connection, kinds.SOCKETY_DISCARD, 8)
  batch.u32(number)
  batch.u32(part)
  end()
}

/** Nobody waits for the answer to this message any more. */
export function forget(connection: number, id: UUID): void {
  begin(connection, kinds.SOCKETY_FORGET, 16)
  putId(batch.buf, batch.pos, id)
  batch.pos += 16
  end()
}

export function heartbeat(connection: number): void {
  begin(connection, kinds.SOCKETY_HEARTBEAT, 0)
  end()
}

/** Reports when everything written so far has left. */
export function mark(connection: number, number: number): void {
  begin(connection, kinds.SOCKETY_MARK, 4)
  batch.u32(number)
}

export function close(connection: number, isForced: boolean): void {
  begin(connection, isForced ? kinds.SOCKETY_DESTROY : kinds.SOCKETY_CLOSE, 0)
  end()
}
