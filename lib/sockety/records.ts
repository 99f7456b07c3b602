// Reads records of the engine: what has come for a connection, packed (docs/internals/boundary.md).
import { Buffer } from 'node:buffer'
import type { EventReader } from '../engine/event-reader'
import { isInterrupted, isTurnOver } from '../values/throw-async'
import { actionAt } from './actions'
import { UUID } from './uuid'

const MESSAGE = 1
const RESPONSE = 2
const FAST_REPLY = 3
const FLUSHED = 4
const DATA = 5
const END = 6
const FILES = 7
const ABORTED = 8

const EXPECTS_RESPONSE = 1
const STREAM = 2
const INLINE = 4
const BODY = 8

export interface BodySizes {
  readonly dataSize: number
  readonly hasStream: boolean
  readonly filesCount: number
  readonly filesSize: number
}

/** Whoever is told. Nothing of it may throw. */
export interface RecordSink<Body> {
  /** Returns the id in these bytes: of this request, or of another message. */
  idAt(request: number, bytes: Uint8Array, at: number): UUID
  openBody(number: number, sizes: BodySizes): Body
  addFile(number: number, name: string, size: number): void
  handleMessage(
    id: UUID,
    action: string,
    expectsResponse: boolean,
    inline: Buffer | undefined,
    body: Body | undefined,
  ): void
  handleResponse(
    request: number,
    parent: UUID,
    id: UUID,
    expectsResponse: boolean,
    inline: Buffer | undefined,
    body: Body | undefined,
  ): void
  handleFastReply(request: number, id: UUID, code: number): void
  handleFlushed(first: number, count: number): void
  handleBytes(number: number, part: number, bytes: Buffer): void
  handleEnd(number: number, part: number): void
  handleAborted(number: number, byPeer: boolean, whole: readonly number[]): void
  handleGoAway(): void
}

/** Reads records up to the end of the reader's current one, or of the turn: then it is called again for the rest. */
export function readRecords<Body>(reader: EventReader, sink: RecordSink<Body>): void {
  const { buf, end } = reader
  while (reader.pos < end && !isInterrupted() && !isTurnOver()) {
    switch (buf[reader.pos++]) {
      case MESSAGE:
        readMessage(reader, sink)
        break
      case RESPONSE:
        readResponse(reader, sink)
        break
      case FAST_REPLY: {
        const { pos } = reader
        const code = u16(buf, pos)
        const request = u32(buf, pos + 2)
        reader.pos = pos + 22
        sink.handleFastReply(request, sink.idAt(request, buf, pos + 6), code)
        break
      }
      case FLUSHED: {
        const first = reader.u32()
        sink.handleFlushed(first, reader.u32())
        break
      }
      case DATA: {
        const number = reader.u32()
        const part = reader.u32()
        sink.handleBytes(number, part, copied(reader, reader.u32()))
        break
      }
      case END: {
        const number = reader.u32()
        sink.handleEnd(number, reader.u32())
        break
      }
      case FILES: {
        readFiles(reader, reader.u32(), sink)
        break
      }
      case ABORTED: {
        const number = reader.u32()
        const byPeer = reader.u8() !== 0
        const whole = Array.from({ length: reader.u32() }, () => reader.u32())
        sink.handleAborted(number, byPeer, whole)
        break
      }
      default:
        sink.handleGoAway()
    }
  }
}

function readMessage<Body>(reader: EventReader, sink: RecordSink<Body>): void {
  const { buf, pos } = reader
  const flags = buf[pos] as number
  const length = u16(buf, pos + 1)
  const id = new UUID(buf, pos + 3)
  const action = actionAt(buf, pos + 19, length)
  reader.pos = pos + 19 + length
  const expectsResponse = (flags & EXPECTS_RESPONSE) !== 0
  if (flags & BODY) sink.handleMessage(id, action, expectsResponse, undefined, readBody(reader, flags, sink))
  else {
    const inline = flags & INLINE ? copied(reader, reader.u32()) : undefined
    sink.handleMessage(id, action, expectsResponse, inline, undefined)
  }
}

function readResponse<Body>(reader: EventReader, sink: RecordSink<Body>): void {
  const { buf, pos } = reader
  const flags = buf[pos] as number
  const request = u32(buf, pos + 1)
  const parent = sink.idAt(request, buf, pos + 5)
  const id = new UUID(buf, pos + 21)
  reader.pos = pos + 37
  const expects = (flags & EXPECTS_RESPONSE) !== 0
  if (flags & BODY) {
    sink.handleResponse(request, parent, id, expects, undefined, readBody(reader, flags, sink))
  } else {
    const inline = flags & INLINE ? copied(reader, reader.u32()) : undefined
    sink.handleResponse(request, parent, id, expects, inline, undefined)
  }
}

function readBody<Body>(reader: EventReader, flags: number, sink: RecordSink<Body>): Body {
  const number = reader.u32()
  const dataSize = reader.f64()
  const filesCount = reader.u32()
  const filesSize = reader.f64()
  const body = sink.openBody(number, { dataSize, hasStream: (flags & STREAM) !== 0, filesCount, filesSize })
  readFiles(reader, number, sink)
  return body
}

function readFiles<Body>(reader: EventReader, number: number, sink: RecordSink<Body>): void {
  const count = reader.u32()
  for (let i = 0; i < count; i++) {
    const size = reader.f64()
    const start = reader.pos + 2
    reader.pos = start + u16(reader.buf, reader.pos)
    sink.addFile(number, reader.buf.toString('utf8', start, reader.pos), size)
  }
}

/** The buffer holds much else: a few bytes must not keep it. */
function copied(reader: EventReader, length: number): Buffer {
  const start = reader.pos
  reader.pos = start + length
  return Buffer.from(reader.buf.subarray(start, start + length))
}

function u16(buf: Uint8Array, at: number): number {
  return (buf[at] as number) | ((buf[at + 1] as number) << 8)
}

function u32(buf: Uint8Array, at: number): number {
  return (u16(buf, at) | (u16(buf, at + 2) << 16)) >>> 0
}
