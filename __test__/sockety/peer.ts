// The other end, in plain JavaScript and from the specification only: it shares no code with lib/ or the engine.
import { randomBytes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { CA, material } from '../support/certificates'

/** A message, response or fast reply that came, as far as it has. */
export interface Got {
  kind: 'message' | 'response' | 'fast'
  id: string
  parent?: string
  action?: string
  code?: number
  expects: boolean
  channel: number
  data: Buffer
  stream: Buffer | null
  streamEnded: boolean
  /** Bytes only, if they are not kept. */
  streamSize: number
  files: { name: string; size: number; content: Buffer; got: number; ended: boolean }[]
  aborted: boolean
  done: boolean
}

interface Channel {
  header: Buffer
  got: Got | undefined
  response: boolean
  expects: boolean
  hasStream: boolean
  dataLeft: number
}

/** What to send. */
export interface Sending {
  action?: string
  parent?: string
  data?: Buffer
  files?: { name: string; content: Buffer }[]
  /** Chunks; an empty list is a stream without any. */
  stream?: Buffer[]
  expects?: boolean
}

const uint = (value: number, width: number): Buffer => {
  const out = Buffer.alloc(width)
  out.writeUIntLE(value, 0, width)
  return out
}
/** The code and bytes of a number that may have one of four widths. */
function width(value: number, widths: number[]): [number, Buffer] {
  const code = widths.findIndex(bytes => value < 256 ** bytes)
  return [code, widths[code] === 0 ? Buffer.alloc(0) : uint(value, widths[code]!)]
}
const bytesOf = (id: string): Buffer => Buffer.from(id.replaceAll('-', ''), 'hex')
const textOf = (bytes: Buffer): string =>
  bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')

export function freshId(): string {
  const bytes = randomBytes(16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return textOf(bytes)
}

/** A packet: type and flags in the high bits, size, content. */
export function packet(first: number, content: Buffer, index?: number): Buffer {
  const [code, size] = width(content.length, [1, 2, 3, 4])
  if (index === undefined) return Buffer.concat([uint(first | (code << 2), 1), size, content])
  const [wide, number] = width(index, [0, 1, 2, 3])
  return Buffer.concat([uint(first | (code << 2) | wide, 1), size, number, content])
}

export function header(id: string, sending: Sending): Buffer {
  const { action = '', parent, data, files = [] } = sending
  const [d, size] = width(data?.length ?? 0, [0, 1, 2, 6])
  const [e, count] = width(files.length, [0, 1, 2, 3])
  const sum = files.reduce((all, { content }) => all + content.length, 0)
  const [f, total] = files.length ? width(sum, [2, 3, 4, 6]) : [0, Buffer.alloc(0)]
  const name = Buffer.from(action)
  const [g, length] = parent === undefined ? width(name.length, [1, 2]) : [0, Buffer.alloc(0)]
  const heads = files.map(({ name, content }) => {
    const [a, bytes] = width(content.length, [1, 2, 3, 6])
    const text = Buffer.from(name)
    const [n, long] = width(text.length, [1, 2])
    return Buffer.concat([uint((a << 2) | (n << 1), 1), bytes, long, text])
  })
  return Buffer.concat([
    uint((d << 6) | (e << 4) | (f << 2) | (g << 1), 1),
    parent === undefined ? Buffer.alloc(0) : bytesOf(parent),
    bytesOf(id),
    length,
    parent === undefined ? name : Buffer.alloc(0),
    size,
    count,
    total,
    ...heads,
  ])
}

export class Peer extends EventEmitter {
  readonly socket: net.Socket
  /** What the other end takes. */
  channels = 0
  readonly got: Got[] = []
  goAways = 0
  heartbeats = 0
  /** Whether contents of streams and files are kept. */
  keeps = true
  #buffer: Buffer = Buffer.alloc(0)
  #left = 0
  #sink: (bytes: Buffer, last: boolean) => void = () => {}
  #current = 0
  readonly #channels = new Map<number, Channel>()
  #sendingOn = 0

  /** `announced` is the header that it says. */
  constructor(socket: net.Socket, announced = 'e3') {
    super()
    this.socket = socket
    socket.on('error', error => this.emit('broken', error))
    socket.on('close', () => this.emit('close'))
    socket.on('data', bytes => this.#take(bytes))
    socket.on('end', () => this.emit('end'))
    this.raw(announced)
  }

  async ready(): Promise<this> {
    if (this.channels === 0) await once(this, 'ready')
    return this
  }

  raw(hex: string): void {
    this.socket.write(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
  }

  write(bytes: Buffer): boolean {
    return this.socket.write(bytes)
  }

  /** Switches to a channel if that is another one. */
  switchTo(channel: number): Buffer {
    if (channel === this.#sendingOn) return Buffer.alloc(0)
    this.#sendingOn = channel
    return channel < 16 ? uint(channel, 1) : Buffer.from([0x10 | (channel >> 8), channel & 0xff])
  }

  /** Sends a whole message on a channel. */
  send(sending: Sending, channel = 0): string {
    const id = freshId()
    const { data, files = [], stream, expects = true } = sending
    const first = (sending.parent === undefined ? 0x20 : 0x50) | (stream ? 2 : 0) | (expects ? 1 : 0)
    const parts = [this.switchTo(channel), packet(first, header(id, sending))]
    if (data?.length) parts.push(packet(0xe0, data))
    for (const [index, { content }] of files.entries()) {
      if (content.length) parts.push(packet(0xc0, content, index))
      const [code, number] = width(index, [0, 1, 2, 3])
      parts.push(Buffer.concat([uint(0xd0 | code, 1), number]))
    }
    for (const chunk of stream ?? []) parts.push(packet(0x70, chunk))
    if (stream) parts.push(uint(0x80, 1))
    this.write(Buffer.concat(parts))
    return id
  }

  fastReply(id: string, code: number): void {
    const head = code < 16 ? uint(0x30 | code, 1) : Buffer.from([0x40 | (code >> 8), code & 0xff])
    this.write(Buffer.concat([head, bytesOf(id)]))
  }

  /** Resolves with the first message for which `wanted` is true, from now on or from before. */
  async wait(wanted: (got: Got) => boolean): Promise<Got> {
    for (;;) {
      const found = this.got.find(wanted)
      if (found !== undefined) return found
      await once(this, 'got')
    }
  }

  answerTo(id: string): Promise<Got> {
    return this.wait(got => got.parent === id && got.done)
  }

  #take(bytes: Buffer): void {
    this.#buffer = this.#buffer.length ? Buffer.concat([this.#buffer, bytes]) : bytes
    while (this.#step()) {}
    this.emit('got')
  }

  #step(): boolean {
    const buffer = this.#buffer
    if (this.#left > 0) {
      if (buffer.length === 0) return false
      const piece = buffer.subarray(0, this.#left)
      this.#left -= piece.length
      this.#buffer = buffer.subarray(piece.length)
      this.#sink(piece, this.#left === 0)
      return true
    }
    if (buffer.length === 0) return false
    const used = this.channels === 0 ? this.#handshake(buffer) : this.#packet(buffer)
    this.#buffer = this.#buffer.subarray(used)
    return used > 0
  }

  #handshake(buffer: Buffer): number {
    const length = [1, 2, 3, 1][buffer[0]! & 3]!
    if (buffer.length < length) return 0
    if (buffer[0]! >> 4 !== 0xe) throw Error('no header')
    this.channels = [1, buffer[1] || 256, length === 3 ? buffer.readUInt16LE(1) : 0, 4096][buffer[0]! & 3]!
    this.emit('ready')
    return length
  }

  /** Reads the head of a packet; how many bytes it has, or 0 if it is not whole. */
  #packet(buffer: Buffer): number {
    const first = buffer[0]!
    const type = first >> 4
    const low = first & 15
    if (type === 0) return this.#switch(low, 1)
    if (type === 1) return buffer.length < 2 ? 0 : this.#switch((low << 8) | buffer[1]!, 2)
    if (type === 3 || type === 4) {
      const at = type === 3 ? 1 : 2
      if (buffer.length < at + 16) return 0
      const code = type === 3 ? low : (low << 8) | buffer[1]!
      this.#add({ kind: 'fast', parent: textOf(buffer.subarray(at, at + 16)), code, done: true })
      return at + 16
    }
    if (type === 0x8) return this.#end(got => (got.streamEnded = true))
    if (type === 0x9) return this.#abort()
    if (type === 0xa) return (this.heartbeats += 1) && 1
    if (type === 0xb) return (this.goAways += 1) && 1
    const sized = [1, 2, 3, 4][(first >> 2) & 3]!
    const wide = type === 0xc || type === 0xd ? [0, 1, 2, 3][first & 3]! : 0
    if (type === 0xd) {
      if (buffer.length < 1 + wide) return 0
      const index = wide ? buffer.readUIntLE(1, wide) : 0
      this.#end(got => (got.files[index]!.ended = true))
      return 1 + wide
    }
    if (buffer.length < 1 + sized + wide) return 0
    const size = buffer.readUIntLE(1, sized)
    const index = wide ? buffer.readUIntLE(1 + sized, wide) : 0
    this.#content(type, first, index)
    this.#left = size
    if (size === 0) this.#sink(Buffer.alloc(0), true)
    return 1 + sized + wide
  }

  #switch(channel: number, length: number): number {
    this.#current = channel
    return length
  }

  #content(type: number, first: number, index: number): void {
    const current = this.#current
    if (type === 0x2 || type === 0x5) {
      if (this.#channels.has(current)) throw Error(`channel ${current} is busy`)
      const channel: Channel = {
        header: Buffer.alloc(0),
        got: undefined,
        response: type === 0x5,
        expects: (first & 1) !== 0,
        hasStream: (first & 2) !== 0,
        dataLeft: 0,
      }
      this.#channels.set(current, channel)
    }
    const channel = this.#channels.get(current)
    if (channel === undefined) throw Error(`packet ${type} on idle channel ${current}`)
    this.#sink = (bytes, last) => {
      if (type === 0x2 || type === 0x5 || type === 0x6) this.#header(channel, bytes, last)
      else this.#body(channel.got!, channel, type, index, bytes)
    }
  }

  #header(channel: Channel, bytes: Buffer, last: boolean): void {
    channel.header = Buffer.concat([channel.header, bytes])
    if (!last) return
    const bytes_ = channel.header
    let at = 1
    const flags = bytes_[0]!
    const number = (length: number): number => {
      const value = length ? bytes_.readUIntLE(at, length) : 0
      at += length
      return value
    }
    const take = (length: number): Buffer => bytes_.subarray(at, (at += length))
    const parent = channel.response ? textOf(take(16)) : undefined
    const id = textOf(take(16))
    const action = channel.response ? undefined : take(number((flags >> 1) & 1 ? 2 : 1)).toString()
    channel.dataLeft = number([0, 1, 2, 6][flags >> 6]!)
    const files: Got['files'] = []
    const e = (flags >> 4) & 3
    if (e) {
      const count = number(e)
      number([2, 3, 4, 6][(flags >> 2) & 3]!)
      for (let i = 0; i < count; i++) {
        const head = number(1)
        const size = number([1, 2, 3, 6][(head >> 2) & 3]!)
        const name = take(number((head >> 1) & 1 ? 2 : 1)).toString()
        files.push({ name, size, content: Buffer.alloc(0), got: 0, ended: false })
      }
    }
    if (at !== bytes_.length) throw Error('left-over bytes in a header')
    channel.got = this.#add({
      kind: channel.response ? 'response' : 'message',
      id,
      parent,
      action,
      expects: channel.expects,
      stream: channel.hasStream ? Buffer.alloc(0) : null,
      files,
    })
    this.#finish(channel)
  }

  #body(got: Got, channel: Channel, type: number, index: number, bytes: Buffer): void {
    if (type === 0xe) {
      got.data = Buffer.concat([got.data, bytes])
      channel.dataLeft -= bytes.length
      this.#finish(channel)
    } else if (type === 0x7) {
      got.streamSize += bytes.length
      if (this.keeps) got.stream = Buffer.concat([got.stream!, bytes])
    } else {
      const file = got.files[index]!
      file.got += bytes.length
      if (this.keeps) file.content = Buffer.concat([file.content, bytes])
    }
  }

  #end(mark: (got: Got) => void): number {
    const channel = this.#channels.get(this.#current)!
    mark(channel.got!)
    this.#finish(channel)
    return 1
  }

  #abort(): number {
    const channel = this.#channels.get(this.#current)
    if (channel?.got) channel.got.aborted = true
    this.#channels.delete(this.#current)
    return 1
  }

  #finish(channel: Channel): void {
    const got = channel.got!
    const isWhole = channel.dataLeft === 0 && (got.stream === null || got.streamEnded)
    if (!isWhole || got.files.some(file => !file.ended)) return
    got.done = true
    this.#channels.delete(this.#current)
  }

  #add(got: Partial<Got> & { kind: Got['kind'] }): Got {
    const added: Got = {
      id: '',
      expects: false,
      channel: this.#current,
      data: Buffer.alloc(0),
      stream: null,
      streamEnded: false,
      streamSize: 0,
      files: [],
      aborted: false,
      done: false,
      ...got,
    }
    this.got.push(added)
    return added
  }
}

/** Connects such a peer. */
export async function peerTo(port: number, isSecure: boolean, announced?: string): Promise<Peer> {
  const socket = isSecure
    ? tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca: CA })
    : net.connect({ port, host: '127.0.0.1' })
  await once(socket, isSecure ? 'secureConnect' : 'connect')
  return new Peer(socket, announced)
}

export interface PeerServer {
  port: number
  /** The next connection. */
  next(): Promise<Peer>
  close(): Promise<void>
}

/** Listens as such a peer. */
export async function peerServer(isSecure: boolean, announced?: string): Promise<PeerServer> {
  const peers: Peer[] = []
  const arrivals = new EventEmitter()
  const handle = (socket: net.Socket): void => {
    peers.push(new Peer(socket, announced))
    arrivals.emit('peer')
  }
  const server = isSecure ? tls.createServer(material('server'), handle) : net.createServer(handle)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const all = new Set<net.Socket>()
  server.on('connection', socket => all.add(socket))
  return {
    port: (server.address() as net.AddressInfo).port,
    async next() {
      if (peers.length === 0) await once(arrivals, 'peer')
      return peers.shift()!.ready()
    },
    async close() {
      for (const socket of all) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
