// A relay that knows where the frames of our two wires begin and end, and loses some of them: what TCP cannot lose, a broker can.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Told each frame; whether it is to be lost. */
export type Loss = (frame: Buffer, toBroker: boolean) => boolean

const HEAD_END = '\r\n\r\n'

export class FrameRelay {
  readonly #sockets = new Set<Socket>()
  /** Frames that were lost. */
  lost = 0

  private constructor(
    private readonly server: Server,
    private readonly target: number,
    private readonly wire: 'conat' | 'selvedge',
    private readonly loses: Loss,
  ) {
    server.on('connection', client => this.#accept(client))
  }

  static async start(target: number, wire: 'conat' | 'selvedge', loses: Loss): Promise<FrameRelay> {
    const server = createServer()
    const relay = new FrameRelay(server, target, wire, loses)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return relay
  }

  get address(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.server, 'close')
  }

  #accept(client: Socket): void {
    const broker = connect(this.target, '127.0.0.1')
    for (const [from, to] of [
      [client, broker],
      [broker, client],
    ] as const) {
      this.#sockets.add(from)
      from.setNoDelay(true)
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
      this.#relay(from, to, from === client)
    }
  }

  #relay(from: Socket, to: Socket, toBroker: boolean): void {
    let rest = Buffer.alloc(0)
    let isHead = true
    /** Of Conat's wire a text that announces an attachment, which is lost with it or not at all. */
    let announced: Buffer | undefined
    from.on('data', chunk => {
      rest = Buffer.concat([rest, chunk])
      for (;;) {
        const length = isHead
          ? headLength(rest)
          : this.wire === 'conat'
            ? webSocketLength(rest)
            : ownLength(rest)
        if (length === undefined || rest.length < length) return
        let frame = rest.subarray(0, length)
        rest = rest.subarray(length)
        if (!isHead && this.wire === 'conat') {
          if (announced !== undefined) {
            frame = Buffer.concat([announced, frame])
            announced = undefined
          } else if (/^45\d+-/.test(webSocketPayload(frame).toString('latin1', 0, 8))) {
            announced = frame
            continue
          }
        }
        const plain = isHead || this.wire === 'selvedge' ? frame : webSocketPayloads(frame)
        if (!isHead && this.loses(plain, toBroker)) this.lost += 1
        else to.write(frame)
        isHead = false
      }
    })
  }
}

function headLength(bytes: Buffer): number | undefined {
  const end = bytes.indexOf(HEAD_END)
  return end < 0 ? undefined : end + HEAD_END.length
}

function ownLength(bytes: Buffer): number | undefined {
  return bytes.length < 4 ? undefined : 4 + bytes.readUInt32LE()
}

function webSocketStart(
  bytes: Buffer,
): { start: number; length: number; mask: Buffer | undefined } | undefined {
  if (bytes.length < 2) return undefined
  const small = bytes[1]! & 127
  const extra = small === 126 ? 2 : small === 127 ? 8 : 0
  const isMasked = bytes[1]! > 127
  const start = 2 + extra + (isMasked ? 4 : 0)
  if (bytes.length < start) return undefined
  const length = extra === 2 ? bytes.readUInt16BE(2) : extra === 8 ? Number(bytes.readBigUInt64BE(2)) : small
  return { start, length, mask: isMasked ? bytes.subarray(start - 4, start) : undefined }
}

function webSocketLength(bytes: Buffer): number | undefined {
  const found = webSocketStart(bytes)
  return found && found.start + found.length
}

function webSocketPayload(frame: Buffer): Buffer {
  const { start, length, mask } = webSocketStart(frame)!
  const payload = Buffer.from(frame.subarray(start, start + length))
  if (mask !== undefined) for (let i = 0; i < length; i++) payload[i] = payload[i]! ^ mask[i & 3]!
  return payload
}

/** The payloads of one or two frames, one after the other. */
function webSocketPayloads(frames: Buffer): Buffer {
  const first = webSocketLength(frames)!
  const payloads = [webSocketPayload(frames.subarray(0, first))]
  if (first < frames.length) payloads.push(webSocketPayload(frames.subarray(first)))
  return Buffer.concat(payloads)
}
