// Both ends of @flecks/socket 4 as they are on the wire: packets with ids by their sorted names, each an event of Socket.IO with
// its bytes; written from docs/protocols/packets.md on the official socket.io, schemapack and msgpack-lite. Nothing of ours is in here.
import type { Socket as ServerSocket } from 'socket.io'
import type { Socket as ClientSocket } from 'socket.io-client'

const schemapack = require('schemapack') as {
  build(schema: unknown): { encode(value: unknown): Buffer; decode(bytes: Uint8Array): any }
}
const msgpack = require('msgpack-lite') as { encode(value: unknown): Buffer; decode(bytes: Uint8Array): any }

type Dehydrated = [name: string, data?: any]

/** How the data of a packet is written. */
export interface FlecksSchema {
  schema: unknown
  /** Keys, or all, as MessagePack. */
  packs?: true | readonly string[]
  respond?(data: any, socket: FlecksSocket): unknown
}

/** What `validate` throws: the payload is what the sender is rejected with. */
export class FlecksValidationError extends Error {
  constructor(readonly payload: unknown) {
    super()
  }
}

export class FlecksPackets {
  readonly #names: string[]
  readonly #schemas: Record<string, FlecksSchema>

  constructor(schemas: Record<string, FlecksSchema>) {
    this.#schemas = {
      Bundle: { schema: 'buffer' },
      Redirect: { schema: 'string' },
      Refresh: { schema: {} },
      ...schemas,
    }
    this.#names = Object.keys(this.#schemas).sort()
  }

  get count(): number {
    return this.#names.length
  }

  idOf(name: string): number {
    return this.#names.indexOf(name) + 1
  }

  nameOf(id: number): string {
    return this.#names[id - 1]!
  }

  respondOf(name: string): FlecksSchema['respond'] {
    return this.#schemas[name]!.respond
  }

  encode([name, data = {}]: Dehydrated): Buffer {
    const { schema, packs } = this.#schemas[name]!
    // Schemapack changes the schemas that it is given.
    const codec = schemapack.build(JSON.parse(JSON.stringify(schema)))
    if (name === 'Bundle') return codec.encode(this.#bundle(data as Dehydrated[]))
    if (packs === true) return codec.encode(msgpack.encode(data))
    const packed = Object.fromEntries((packs ?? []).map(key => [key, msgpack.encode(data[key])]))
    return codec.encode(packs === undefined ? data : { ...data, ...packed })
  }

  decode(id: number, bytes: Buffer): Dehydrated {
    const name = this.nameOf(id)
    const { schema, packs } = this.#schemas[name]!
    const data = schemapack.build(JSON.parse(JSON.stringify(schema))).decode(bytes)
    if (name === 'Bundle') return [name, this.#unbundle(data)]
    if (packs === true) return [name, msgpack.decode(data)]
    for (const key of packs ?? []) data[key] = msgpack.decode(data[key])
    return [name, data]
  }

  #bundle(packets: Dehydrated[]): Buffer {
    const parts = packets.flatMap(packet => {
      const body = this.encode(packet)
      const head = Buffer.alloc(6)
      head.writeUInt32LE(body.length)
      head.writeUInt16LE(this.idOf(packet[0]), 4)
      return [head, body]
    })
    return Buffer.concat(parts)
  }

  #unbundle(bytes: Buffer): Dehydrated[] {
    const packets: Dehydrated[] = []
    for (let at = 0; at < bytes.length; ) {
      const end = at + 6 + bytes.readUInt32LE(at)
      packets.push(this.decode(bytes.readUInt16LE(at + 4), bytes.subarray(at + 6, end)))
      at = end
    }
    return packets
  }
}

export class FlecksSocket {
  /** Every packet that came, in order. */
  readonly seen: Dehydrated[] = []

  constructor(
    readonly io: ServerSocket | ClientSocket,
    readonly packets: FlecksPackets,
  ) {
    for (let id = 1; id <= packets.count; id++) {
      io.on(
        id as never,
        ((bytes: Buffer, ack?: (error?: unknown, result?: unknown) => void) => {
          void this.#accept(packets.decode(id, bytes), ack ?? (() => undefined))
        }) as never,
      )
    }
  }

  send(packet: Dehydrated): Promise<any> {
    return new Promise((resolve, reject) => {
      const ack = (error: unknown, result: unknown) => (error ? reject(error) : resolve(result))
      ;(this.io.emit as (...args: unknown[]) => void)(
        this.packets.idOf(packet[0]),
        this.packets.encode(packet),
        ack,
      )
    })
  }

  async #accept(packet: Dehydrated, ack: (error?: unknown, result?: unknown) => void): Promise<void> {
    this.seen.push(packet)
    const [name, data] = packet
    if (name === 'Bundle')
      // Each on its own, in order; what comes of them nobody hears.
      for (const inner of data as Dehydrated[]) void this.#accept(inner, () => undefined)
    try {
      const result = await this.packets.respondOf(name)?.(data, this)
      if (result !== undefined) ack(undefined, result)
    } catch (error) {
      if (error instanceof FlecksValidationError) ack(error.payload)
      else
        ack({
          code: (error as { code?: unknown }).code ?? 500,
          reason: (error as Error).message,
          stack: (error as Error).stack,
        })
    }
  }
}
