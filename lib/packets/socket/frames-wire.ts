// The protocol of packets, both directions: HELLO and SCHEMA, posts, calls and answers. Decides what each frame means; what
// becomes of packets is the socket's business.
import type { Coder } from '../codec/coder'
import { pack, unpack } from '../codec/packed'
import { tooLarge } from '../codec/slab'
import { textBytes } from '../codec/text'
import { messageOf, PacketError, ValidationError } from '../errors'
import type { AllLimits } from '../limits'
import type { PacketLink } from '../link/link'
import type { Entry } from '../registry/entry'
import { fingerprintBytes } from '../registry/envelope'
import { errorOf, type PacketRegistry } from '../registry/registry'
import type { Batch } from './batch'
import {
  broken,
  CALL,
  CANCEL,
  ERROR,
  FrameAssembler,
  FrameReader,
  HELLO,
  MAX_CALL,
  MAX_HEAD_BYTES,
  POST,
  RESULT,
  SCHEMA,
  VERSION,
} from './frames'
import { Intake } from './intake'
import { Outbox } from './outbox'
import { Peer } from './peer'
import type { Outgoing, Wire, WireError, WireHost } from './wire'

/** Frames between looks at the clock. */
const FRAMES_A_STEP = 16

export class FramesWire implements Wire {
  readonly #registry: PacketRegistry
  readonly #limits: AllLimits
  readonly #host: WireHost
  readonly #outbox: Outbox
  readonly #assembler: FrameAssembler | undefined
  readonly #intake: Intake<FrameReader>
  #peer: Peer | undefined
  /** The number of our last call, and whether they have begun again at 1. */
  #lastCall = 0
  #hasWrapped = false
  /** The number of the peer's last call. */
  #lastTheirs = 0
  #malformed = 0
  #isBroken = false

  constructor(
    link: PacketLink,
    registry: PacketRegistry,
    limits: AllLimits,
    host: WireHost,
    isBatched: boolean,
  ) {
    this.#registry = registry
    this.#limits = limits
    this.#host = host
    this.#outbox = new Outbox(link, limits, isBatched, cause => {
      this.#fail(new PacketError(`the link failed: ${messageOf(cause)}`, 'ERR_PACKET_CLOSED', { cause }))
    })
    this.#assembler =
      link.isStream === true ? new FrameAssembler(limits.packetBytes + MAX_HEAD_BYTES) : undefined
    this.#intake = new Intake(
      {
        begin: message => this.#begin(message),
        step: frame => this.#step(frame),
        fail: error => this.#fail(error),
      },
      link,
      limits.queueBytes,
    )
  }

  get isOpen(): boolean {
    return this.#peer !== undefined
  }

  handleReady(): void {
    const { entries } = this.#registry
    this.#outbox.sendFirst(batch =>
      batch.frame(frame => {
        frame.byte(HELLO)
        frame.varuint(VERSION)
        frame.varuint(entries.length)
        for (const { name, fingerprint } of entries) {
          writeText(frame, textBytes(name))
          frame.bytes(fingerprintBytes(fingerprint))
        }
      }),
    )
  }

  post({ id, data, coder }: Outgoing): boolean {
    this.#outbox.checkRoom()
    this.#outbox.frame(frame => {
      frame.byte(POST)
      frame.varuint(id)
      frame.value(coder, data, this.#limits.packetBytes)
    })
    return this.#outbox.hasRoom
  }

  postBody({ id }: Entry, body: Uint8Array): void {
    this.#outbox.checkRoom()
    this.#outbox.frame(frame => {
      frame.byte(POST)
      frame.varuint(id)
      frame.bytes(body)
    })
  }

  call({ id, entry, data, coder }: Outgoing): number {
    const obstacle = this.#peer?.obstacleFor(entry)
    if (obstacle !== undefined) throw obstacle
    this.#outbox.checkRoom()
    const call = this.#lastCall === MAX_CALL ? 1 : this.#lastCall + 1
    this.#outbox.frame(frame => {
      frame.byte(CALL)
      frame.varuint(call)
      frame.varuint(id)
      frame.value(coder, data, this.#limits.packetBytes)
    })
    if (call < this.#lastCall) this.#hasWrapped = true
    this.#lastCall = call
    return call
  }

  cancel(call: number): void {
    this.#answer(frame => {
      frame.byte(CANCEL)
      frame.varuint(call)
    })
  }

  reply(call: number, { result }: Entry, value: unknown): void {
    this.#answer(frame => {
      frame.byte(RESULT)
      frame.varuint(call)
      if (result !== undefined) frame.value(result.coder, value, this.#limits.packetBytes)
      else if (value !== undefined) frame.bytes(this.#packed(value))
    })
  }

  replyError(call: number, { code, reason, payload }: WireError): void {
    const map = payload === undefined ? { code, reason } : { code, reason, v: payload }
    this.#answer(frame => {
      frame.byte(ERROR)
      frame.varuint(call)
      frame.bytes(this.#packed(map))
    })
  }

  waitUntilWritable(): Promise<void> {
    return this.#outbox.waitUntilWritable()
  }

  drained(): Promise<void> {
    return this.#outbox.drained()
  }

  close(): number {
    this.#isBroken = true
    if (this.#intake.close())
      this.#host.handleRejected(
        new PacketError('packets that came last were not handled', 'ERR_PACKET_CLOSED'),
      )
    return this.#outbox.close()
  }

  handleMessage(message: Uint8Array | null): void {
    this.#intake.handleMessage(message)
  }

  end(callback: () => void): void {
    this.#intake.end(callback)
  }

  holdBack(isHeld: boolean): void {
    this.#intake.holdBack(isHeld)
  }

  /** Returns the frames of a message. */
  #begin(message: Uint8Array | null): FrameReader | undefined {
    try {
      if (message === null) throw broken('a message that is no bytes')
      const frames = this.#assembler === undefined ? message : this.#assembler.push(message)
      if (frames === undefined) return undefined
      if (frames.length === 0) throw broken('an empty message')
      return new FrameReader(frames)
    } catch (error) {
      this.#handleBroken(error)
      return undefined
    }
  }

  #step(frame: FrameReader): boolean {
    const maxBytes = this.#limits.packetBytes + MAX_HEAD_BYTES
    try {
      for (let count = 0; count < FRAMES_A_STEP && !this.#intake.isStopped; count++) {
        if (!frame.next(maxBytes)) return false
        this.#handleFrame(frame)
      }
      return frame.hasMore
    } catch (error) {
      this.#handleBroken(error)
      return false
    }
  }

  /** A break of the protocol ends the socket. */
  #handleBroken(error: unknown): void {
    if (!(error instanceof PacketError)) throw error
    this.#fail(error)
  }

  #handleFrame(frame: FrameReader): void {
    const kind = frame.byte()
    if (kind === HELLO) this.#handleHello(frame)
    else if (this.#peer === undefined) throw broken(`a frame of kind ${kind} before HELLO`)
    else if (kind === POST) this.#handlePacket(frame, this.#peer, undefined)
    else if (kind === CALL) this.#handlePacket(frame, this.#peer, this.#theirNext(frame.varuint()))
    else if (kind === RESULT) this.#handleResult(frame, this.#peer)
    else if (kind === ERROR) this.#handleError(frame)
    else if (kind === CANCEL) this.#handleCancel(frame)
    else if (kind === SCHEMA) this.#peer.handleSchema(frame)
    else throw broken(`a frame of kind ${kind}`)
  }

  #handleHello(frame: FrameReader): void {
    if (this.#peer !== undefined) throw broken('a second HELLO')
    const peer = new Peer(this.#registry, frame, this.#limits)
    this.#peer = peer
    this.#outbox.sendFirst(batch => {
      for (const { id, text } of peer.differing) {
        const bytes = textBytes(text)
        // One that is larger the other side does not take: it answers then that it does not know the packet.
        if (bytes.length <= this.#limits.schemaBytes) {
          batch.frame(frame => {
            frame.byte(SCHEMA)
            frame.varuint(id)
            writeText(frame, bytes)
          })
        }
      }
    })
    this.#outbox.release()
    this.#host.handleOpen()
  }

  #theirNext(call: number): number {
    const expected = this.#lastTheirs === MAX_CALL ? 1 : this.#lastTheirs + 1
    if (call !== expected) throw broken(`the call ${call} where ${expected} comes next`)
    this.#lastTheirs = call
    return call
  }

  #handlePacket(frame: FrameReader, peer: Peer, call: number | undefined): void {
    const id = frame.varuint()
    const name = peer.nameOf(id)
    const { bytes, at, end } = frame
    let read: ReturnType<Peer['read']>
    try {
      read = peer.read(id, bytes, at, end)
    } catch (error) {
      this.#refuse(name, call, error)
      return
    }
    this.#host.handlePacket(read.packet, read.entry, call, end - at)
  }

  /** A packet that could not be read, or whose class could not be constructed. */
  #refuse(name: string, call: number | undefined, error: unknown): void {
    const told =
      error instanceof PacketError ? error : new PacketError(messageOf(error), 500, { cause: error })
    const isUnsupported = told.code === 'ERR_PACKET_UNSUPPORTED'
    const isMalformed = told.code === 'ERR_PACKET_MALFORMED' || told.code === 'ERR_PACKET_TOO_LARGE'
    if (call !== undefined) {
      if (isUnsupported) this.replyError(call, { code: 501, reason: `unsupported ${name}` })
      else if (isMalformed) this.replyError(call, { code: 400, reason: `malformed ${name}` })
      else this.replyError(call, { code: 500, reason: 'error' })
    }
    this.#host.handleRejected(told.packet === undefined ? errorOf(name, told) : told)
    if (isMalformed) this.#countMalformed()
  }

  #countMalformed(): void {
    this.#malformed += 1
    if (this.#malformed >= this.#limits.malformed) throw broken(`${this.#malformed} malformed packets`)
  }

  #handleResult(frame: FrameReader, peer: Peer): void {
    const call = this.#ownCall(frame.varuint())
    const entry = this.#host.entryOfCall(call)
    // It has timed out, or was given up.
    if (entry === undefined) return
    try {
      const { codec, convert } = peer.resultOf(entry)
      const value = this.#valueOf(frame, codec?.coder)
      this.#host.handleOutcome(call, { value: convert === undefined ? value : convert(value) })
    } catch (error) {
      if (!(error instanceof PacketError)) throw error
      this.#host.handleOutcome(call, {
        error: error.packet === undefined ? errorOf(entry.name, error) : error,
      })
      if (error.code === 'ERR_PACKET_MALFORMED') this.#countMalformed()
    }
  }

  #valueOf({ bytes, at, end }: FrameReader, coder: Coder | undefined): unknown {
    if (end - at > this.#limits.packetBytes) throw tooLarge(this.#limits.packetBytes)
    if (coder !== undefined) return coder.read(bytes, at, end)
    return at === end ? undefined : this.#unpacked(bytes, at, end)
  }

  #handleError(frame: FrameReader): void {
    const call = this.#ownCall(frame.varuint())
    const entry = this.#host.entryOfCall(call)
    if (entry === undefined) return
    let said: unknown
    try {
      said = this.#unpacked(frame.bytes, frame.at, frame.end)
    } catch {
      this.#countMalformed()
    }
    this.#host.handleOutcome(call, { error: errorSaid(entry.name, said) })
  }

  #handleCancel(frame: FrameReader): void {
    const call = frame.varuint()
    frame.finish()
    this.#host.handleCancel(call)
  }

  /** A call of ours, or the end. */
  #ownCall(call: number): number {
    if (call === 0 || (call > this.#lastCall && !this.#hasWrapped))
      throw broken(`an answer to the call ${call}, which was never made`)
    return call
  }

  #answer(write: (frame: Batch) => void): void {
    this.#outbox.frame(write)
    if (this.#outbox.isOverfull) {
      this.#fail(new PacketError('the other side does not read its answers', 'ERR_PACKET_BUSY'))
    }
  }

  #packed(value: unknown): Uint8Array {
    let bytes: Uint8Array
    try {
      bytes = pack(value, this.#limits.packDepth)
    } catch (cause) {
      throw new PacketError(messageOf(cause), 'ERR_PACKET_ENCODE', { path: '', cause })
    }
    if (bytes.length > this.#limits.packetBytes) throw tooLarge(this.#limits.packetBytes)
    return bytes
  }

  #unpacked(bytes: Uint8Array, at: number, end: number): unknown {
    try {
      return unpack(bytes, at, end, this.#limits.packDepth)
    } catch (cause) {
      throw new PacketError(`answer: ${messageOf(cause)}`, 'ERR_PACKET_MALFORMED', { path: '', cause })
    }
  }

  #fail(error: PacketError): void {
    if (this.#isBroken) return
    this.#isBroken = true
    this.#intake.close()
    this.#host.fail(error)
  }
}

/** Characters of a reason that a peer can have us keep. */
const MAX_REASON = 1000

/** Returns the error that the other side said, whatever it said. */
export function errorSaid(name: string, said: unknown): PacketError | ValidationError {
  const map = (typeof said === 'object' && said !== null ? said : {}) as Record<string, unknown>
  if (map.v !== undefined)
    return new ValidationError(map.v as { code: number; reason: string }, undefined, name)
  const code = typeof map.code === 'number' ? map.code : 500
  const reason = typeof map.reason === 'string' ? map.reason.slice(0, MAX_REASON) : 'error'
  return new PacketError(`${name}: ${reason}`, code === 501 ? 'ERR_PACKET_UNSUPPORTED' : code, {
    packet: name,
    reason,
  })
}

function writeText(frame: Batch, bytes: Uint8Array): void {
  frame.varuint(bytes.length)
  frame.bytes(bytes)
}
