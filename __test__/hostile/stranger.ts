// A stranger at one of the doors of a broker, who says whatever the protocol there has words for.
import { frame, head, joined, own, ownFrame, Raw, text } from './attacker'

export type Door = 'selvedge' | 'selvedge in a WebSocket' | 'conat'
export const DOORS: readonly Door[] = ['selvedge', 'selvedge in a WebSocket', 'conat']

/** What a message has. `chunk`: its id, number, and whether it is the last. */
export interface Words {
  subject: string
  payload?: Buffer
  encoding?: number
  reply?: string
  command?: 'connect' | 'ping' | 'socket' | 'close'
  seq?: number
  attempt?: number
  /** Text stands as it is. */
  headers?: Record<string, unknown> | string
  chunk?: [id: string, seq: number, isLast: boolean]
}

const NIL = Buffer.from([0xc0])
const COMMANDS = ['connect', 'connected', 'close', 'ping', 'socket']
/** Of one message in a WebSocket. */
const MAX_MESSAGE = 512 * 1024

/** Bytes in MessagePack, so many in all. */
export function packed(length: number): Buffer {
  const whole = Buffer.alloc(length, 1)
  whole[0] = 0xc6
  whole.writeUInt32BE(length - 5, 1)
  return whole
}

export class Stranger {
  readonly raw: Raw
  readonly #door: Door
  #ack = 500_000
  #id = 0

  private constructor(door: Door, raw: Raw) {
    this.#door = door
    this.raw = raw
  }

  /** With these fields in the head of its request, from this address of the machine. */
  static async come(
    door: Door,
    port: number,
    fields: Record<string, string> = {},
    from?: string,
  ): Promise<Stranger> {
    if (door === 'conat') return new Stranger(door, await joined(port, fields, from))
    if (door === 'selvedge') return new Stranger(door, await own(port, fields, from))
    const raw = new Raw(port, from).say(head(port, { ...fields, 'Sec-WebSocket-Protocol': 'selvedge.1' }))
    await raw.hears('"op":"info"')
    return new Stranger(door, raw)
  }

  /** The bytes of a message, as often as `times` says. */
  message(words: Words, times = 1): Buffer {
    if (this.#door === 'conat') return repeat(() => this.#packet(words), times)
    const one = ownFrame(1, publication(words))
    return this.framed(repeat(() => one, times))
  }

  /** Says something and waits until the broker has dealt with it. */
  async say(...bytes: Buffer[]): Promise<boolean> {
    this.raw.say(...bytes)
    return await this.settles()
  }

  /** Whether everything before is dealt with. Who was told to wait until he reads is not. */
  async settles(): Promise<boolean> {
    const ack = ++this.#ack
    if (this.#door === 'conat') return await this.raw.say(text(`42${ack}["cluster"]`)).hears(`43${ack}[`)
    return await this.#control({ op: 'cluster', ack }).hears(`"ack":${ack}`)
  }

  subscribe(patterns: readonly string[], queue = 'q'): Promise<boolean> {
    const ack = ++this.#ack
    if (this.#door === 'conat') {
      const list = patterns.map(subject => ({ subject, queue }))
      return this.raw.say(text(`42${ack}["subscribe",${JSON.stringify(list)}]`)).hears(`43${ack}[`)
    }
    const subscriptions = patterns.map(pattern => [pattern, queue])
    return this.#control({ op: 'subscribe', ack, subscriptions, list: true }).hears(`"ack":${ack}`)
  }

  /** The bytes of subscriptions that are given up at once. */
  churn(patterns: readonly string[]): Buffer {
    if (this.#door === 'conat') {
      const list = patterns.map(subject => ({ subject, queue: 'q' }))
      const gone = patterns.map(subject => ({ subject }))
      return Buffer.concat([
        text(`421["subscribe",${JSON.stringify(list)}]`),
        text(`422["unsubscribe",${JSON.stringify(gone)}]`),
      ])
    }
    const subscriptions = patterns.map(pattern => [pattern, 'q'])
    const words = [
      { op: 'subscribe', ack: 1, subscriptions, list: true },
      { op: 'unsubscribe', ack: 2, patterns, list: true },
    ]
    return this.framed(Buffer.concat(words.map(op => ownFrame(6, JSON.stringify(op)))))
  }

  /** Waits for subscribers of each, and asks for its own list, without a look at the answers. */
  wait(subjects: readonly string[]): void {
    for (const subject of subjects) {
      const ack = ++this.#ack
      if (this.#door === 'conat') {
        this.raw.say(text(`42${ack}["wait-for-interest",${JSON.stringify({ subject, timeout: 60_000 })}]`))
      } else this.#control({ op: 'wait-for-interest', ack, subject, timeout: 60_000 })
    }
  }

  list(times: number): void {
    for (let n = 0; n < times; n++) {
      const ack = ++this.#ack
      if (this.#door === 'conat') this.raw.say(text(`42${ack}["subscriptions",null]`))
      else this.#control({ op: 'subscriptions', ack })
    }
  }

  /** Says a frame of selvedge's own protocol. */
  frame(bytes: Buffer): Raw {
    return this.raw.say(this.framed(bytes))
  }

  #control(op: object): Raw {
    return this.raw.say(this.framed(ownFrame(6, JSON.stringify(op))))
  }

  /** A frame of selvedge's own protocol, as it is said at this door. */
  framed(bytes: Buffer): Buffer {
    if (this.#door === 'selvedge') return bytes
    const parts: Buffer[] = []
    for (let at = 0; at < bytes.length; at += MAX_MESSAGE) {
      parts.push(frame(2, bytes.subarray(at, at + MAX_MESSAGE)))
    }
    return Buffer.concat(parts)
  }

  #packet({
    subject,
    payload = NIL,
    encoding = 0,
    reply,
    command,
    seq,
    attempt,
    headers,
    chunk,
  }: Words): Buffer {
    const all: Record<string, unknown> = typeof headers === 'string' ? {} : { ...headers }
    if (reply !== undefined) all['CN-Reply'] = reply
    if (command !== undefined) all['CN-SocketCmd'] = command
    if (seq !== undefined) all['CN-SocketSeq'] = seq
    if (attempt !== undefined) all['CN-SocketConnectAttempt'] = attempt
    const [id, number, isLast] = chunk ?? [`s${this.#id++}`, 0, true]
    const attachment = { _placeholder: true, num: 0 }
    const args = JSON.stringify([subject, id, number, isLast, encoding, attachment])
    const last = !isLast ? '' : `,${typeof headers === 'string' ? headers : JSON.stringify(all)}`
    return Buffer.concat([text(`451-["publish",${args.slice(0, -1)}${last}]]`), frame(2, payload)])
  }
}

/** The body of a PUBLISH (docs/protocols/fabric.md). */
function publication(words: Words): Buffer {
  const { subject, payload = NIL, encoding = 0, reply, command, seq, attempt, headers, chunk } = words
  const about: Buffer[] = []
  let marks = 0
  const mark = (bit: number, ...parts: Buffer[]): void => {
    marks |= bit
    about.push(...parts)
  }
  if (reply !== undefined) mark(1, name(reply))
  if (command !== undefined) mark(2, Buffer.from([COMMANDS.indexOf(command) + 1]))
  if (seq !== undefined) mark(4, varint(seq))
  if (attempt !== undefined) mark(8, varint(attempt))
  if (headers !== undefined) {
    const bytes = Buffer.from(typeof headers === 'string' ? headers : JSON.stringify(headers))
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    mark(16, length, bytes)
  }
  const parts = [Buffer.from([0]), name(subject)]
  if (chunk !== undefined) {
    const [id, number, isLast] = chunk
    parts.push(varint(id.length), Buffer.from(id), varint(number), Buffer.from([isLast ? 1 : 0]))
  }
  if (marks > 0) parts.push(Buffer.from([marks]), ...about)
  const flags = 2 | (chunk === undefined ? 0 : 8) | (marks > 0 ? 16 : 0)
  return Buffer.concat([Buffer.from([flags]), ...parts, Buffer.from([encoding]), payload])
}

export function name(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(2)
  length.writeUInt16LE(bytes.length)
  return Buffer.concat([length, bytes])
}

export function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.from([...bytes, rest])
}

const repeat = (make: () => Buffer, times: number): Buffer =>
  Buffer.concat(Array.from({ length: times }, make))
