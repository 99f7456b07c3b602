// The other side of a link as a test plays it: frames by hand.

import { createHash } from 'node:crypto'
import { type EventEmitter, once } from 'node:events'
import { encode } from '@msgpack/msgpack'
import { type PacketRegistry, PacketSocket, type PacketSocketOptions } from 'selvedge/packets'
import { linkPair, type MemoryLink } from './memory-link'

export const [HELLO, POST, CALL, RESULT, ERROR, CANCEL, SCHEMA] = [0, 1, 2, 3, 4, 5, 6]

export function varuint(value: number): Buffer {
  const bytes: number[] = []
  let left = value
  for (; left > 127; left = Math.floor(left / 128)) bytes.push((left % 128) | 128)
  return Buffer.from([...bytes, left])
}

export function frame(...parts: (number | Uint8Array | string)[]): Buffer {
  const body = Buffer.concat(
    parts.map(part => (typeof part === 'number' ? Buffer.from([part]) : Buffer.from(part as string, 'hex'))),
  )
  return Buffer.concat([varuint(body.length), body])
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([varuint(bytes.length), bytes])
}

export const packed = (value: unknown): Uint8Array => encode(value)

/** As the protocol's page says it, with Node's own SHA-256. */
export function fingerprint(name: string, canonical: string): Buffer {
  return createHash('sha256').update(`${name}\0${canonical}`).digest().subarray(0, 8)
}

/** Names with their schemas as canonical text. */
export function hello(packets: Readonly<Record<string, string>>): Buffer {
  const names = Object.keys(packets).sort()
  const list = names.map(name => Buffer.concat([text(name), fingerprint(name, packets[name]!)]))
  return frame(HELLO, 1, varuint(names.length), ...list)
}

/** Cuts a message into the frames that it is made of, without their lengths. */
export function framesOf(message: Uint8Array): Buffer[] {
  const frames: Buffer[] = []
  let at = 0
  while (at < message.length) {
    let length = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = message[at++]!
      length += (byte & 127) * shift
      if (byte < 128) break
    }
    frames.push(Buffer.from(message.subarray(at, at + length)))
    at += length
  }
  return frames
}

export class RawPeer {
  readonly socket: PacketSocket
  readonly #link: MemoryLink
  closed: Error | undefined | 'open' = 'open'
  readonly rejected: { code: string | number; path?: string; packet?: string }[] = []

  /** `packets`: what it says that it has; nothing is said without. */
  constructor(
    registry: PacketRegistry<any>,
    packets?: Readonly<Record<string, string>>,
    options?: PacketSocketOptions,
  ) {
    const [ours, theirs] = linkPair()
    this.#link = theirs
    this.socket = new PacketSocket(ours, registry, options)
    this.socket.on('closed', reason => (this.closed = reason))
    this.socket.on('rejected', ({ code, path, packet }) => this.rejected.push({ code, path, packet }))
    if (packets !== undefined) this.say(hello(packets))
  }

  /** Sends these frames as one message. */
  say(...frames: Uint8Array[]): void {
    this.#link.send(Buffer.concat(frames))
  }

  /** Ends the link from here. */
  cut(): void {
    queueMicrotask(() => this.#link.other!.cut())
  }

  sayNothing(): void {
    this.#link.other!.deliver(null)
  }

  /** What the socket has sent, in frames, after it had time to. */
  async heard(): Promise<Buffer[]> {
    await new Promise(setImmediate)
    return this.#link.other!.sent.splice(0).flatMap(framesOf)
  }

  async whenClosed(): Promise<Error | undefined> {
    if (this.closed !== 'open') return this.closed
    const [reason] = await once(this.socket as unknown as EventEmitter, 'closed')
    return reason
  }

  get isPaused(): boolean {
    return this.#link.other!.isPaused
  }
}
