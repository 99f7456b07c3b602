// Words that no honest client says: raw TCP, raw WebSocket frames, Conat's packets and our own frames, by hand.
import { connect, type Socket } from 'node:net'

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
/** For what comes: a broker that works off a flood beside other tests answers late. */
export const PATIENCE_MS = 30_000
const REQUEST = '/conat/?EIO=4&transport=websocket'

/** The head of a request; `undefined` leaves a header out. */
export function head(
  port: number,
  changes: Record<string, string | undefined> = {},
  line = `GET ${REQUEST} HTTP/1.1`,
): string {
  const headers = {
    Host: `127.0.0.1:${port}`,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': KEY,
    ...changes,
  }
  const lines = Object.entries(headers).filter(([, value]) => value !== undefined)
  return `${line}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

/** A connection, and all that it was told. */
export class Raw {
  readonly socket: Socket
  heard: Buffer = Buffer.alloc(0)
  readonly gone: Promise<void>
  isGone = false
  #wake = (): void => {}

  /** From this address of the machine. */
  constructor(port: number, localAddress?: string) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true, ...(localAddress && { localAddress }) })
    this.socket.on('error', () => {})
    this.socket.on('data', chunk => {
      this.heard = Buffer.concat([this.heard, chunk])
      this.#wake()
    })
    this.gone = new Promise(resolve => {
      this.socket.once('close', () => {
        this.isGone = true
        this.#wake()
        resolve()
      })
    })
  }

  /** Reads on, and keeps nothing of it. */
  ignore(): this {
    this.socket.removeAllListeners('data')
    this.socket.resume()
    return this
  }

  say(...parts: (string | Buffer)[]): this {
    for (const part of parts) if (this.socket.writable) this.socket.write(part)
    return this
  }

  /** Until it has been told this, or the connection is gone; or what a busy machine takes is over. */
  async hears(text: string | Buffer): Promise<boolean> {
    const end = Date.now() + PATIENCE_MS
    while (!this.heard.includes(text) && !this.isGone && Date.now() < end) await this.#more(end)
    return this.heard.includes(text)
  }

  /** Whether the broker ends the connection within this time. */
  async isCutOff(most = PATIENCE_MS): Promise<boolean> {
    const end = Date.now() + most
    while (!this.isGone && Date.now() < end) await this.#more(end)
    return this.isGone
  }

  #more(end: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, Math.max(1, end - Date.now()))
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  end(): void {
    this.socket.destroy()
  }
}

/** A frame as a client sends it, masked with zeros: the mask changes nothing. */
export function frame(opcode: number, payload: string | Buffer = '', first = 0x80): Buffer {
  const bytes = Buffer.from(payload)
  return Buffer.concat([frameHead(opcode, bytes.length, first), bytes])
}

export function frameHead(opcode: number, length: number | bigint, first = 0x80): Buffer {
  const size = Number(length)
  const head = size < 126 ? Buffer.alloc(2) : size < 65536 ? Buffer.alloc(4) : Buffer.alloc(10)
  head[0] = first | opcode
  head[1] = 0x80 | (size < 126 ? size : size < 65536 ? 126 : 127)
  if (head.length === 4) head.writeUInt16BE(size, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, Buffer.alloc(4)])
}

export const text = (payload: string): Buffer => frame(1, payload)

/** A WebSocket before the namespace is joined. */
export async function opened(
  port: number,
  changes: Record<string, string | undefined> = {},
  from?: string,
): Promise<Raw> {
  const raw = new Raw(port, from).say(head(port, changes))
  await raw.hears('"pingInterval"')
  return raw
}

/** One that has joined, and has been told `info`. */
export async function joined(
  port: number,
  changes: Record<string, string> = {},
  from?: string,
): Promise<Raw> {
  const raw = (await opened(port, changes, from)).say(text('40'))
  await raw.hears('["info"')
  return raw
}

/** The close code that a WebSocket was told, if any. */
export function closeCode(raw: Raw): number | undefined {
  const at = raw.heard.lastIndexOf(0x88)
  return at < 0 || at + 4 > raw.heard.length ? undefined : raw.heard.readUInt16BE(at + 2)
}

/**
 * Says words again and again, as fast as they are taken, until it is gone or what is returned is called. Waits where
 * its buffer is full: whoever goes round then takes a processor from those who are to answer.
 */
export function pour(raw: Raw, words: () => Buffer, most = 2 ** 20): () => void {
  let isOver = false
  const run = async (): Promise<void> => {
    while (!isOver && !raw.isGone) {
      raw.say(words())
      if (raw.socket.writableLength < most) await new Promise(setImmediate)
      else await Promise.race([raw.gone, new Promise(resolve => raw.socket.once('drain', resolve))])
    }
  }
  void run()
  return () => {
    isOver = true
  }
}

let messages = 0

/** A publish in Conat's language. `headers` is JSON text, so that it can be anything. */
export function publish(subject: string, payload: Buffer | string, headers = '', ack = ''): Buffer {
  const json = `["publish",[${JSON.stringify(subject)},"m${messages++}",0,1,0,{"_placeholder":true,"num":0}${headers && `,${headers}`}]]`
  return Buffer.concat([text(`451-${ack}${json}`), frame(2, payload)])
}

/** In our own language, after the upgrade. */
export async function own(port: number, fields: Record<string, string> = {}, from?: string): Promise<Raw> {
  const changes = {
    ...fields,
    Upgrade: 'selvedge/1',
    'Sec-WebSocket-Version': undefined,
    'Sec-WebSocket-Key': undefined,
  }
  const raw = new Raw(port, from).say(head(port, changes, 'GET /conat/ HTTP/1.1'))
  await raw.hears('"op":"info"')
  return raw
}

export function ownFrame(type: number, body: Buffer | string, length?: number): Buffer {
  const bytes = Buffer.from(body)
  const frame = Buffer.alloc(5)
  frame.writeUInt32LE(length ?? bytes.length + 1)
  frame[4] = type
  return Buffer.concat([frame, bytes])
}

/** Asks for an answer, to know that all before it was handled. */
export async function settle(raw: Raw): Promise<boolean> {
  const id = 900_000 + messages++
  raw.say(text(`42${id}["cluster"]`))
  return await raw.hears(`43${id}[`)
}
