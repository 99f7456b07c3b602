// Compile-only: what TypeScript makes of packets, registries and sockets.
import type { Client, ConatSocketClient } from 'selvedge'
import {
  createIntercom,
  type Dehydrated,
  Packer,
  Packet,
  type PacketInstance,
  PacketRegistry,
  PacketServer,
  PacketSocket,
  type ResultOf,
} from 'selvedge/packets'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function same<A, B>(is: Same<A, B>): void

const Where = Packet({ id: 'uint32' }, { result: { x: 'float32', 'z?': 'float32' } })
class Slap extends Packet({ 'why?': 'string' }) {
  get isRude(): boolean {
    return this.data.why === undefined
  }
}
class Message extends Packer()(Packet) {}
class Plain extends Packet {}
class Spelled extends Packet {
  static override get data() {
    return { n: 'uint8' } as const
  }
}

new Slap({ why: 'late' }).isRude satisfies boolean
// @ts-expect-error `why` is a text
new Slap({ why: 7 })
new Plain()
new Message({ anything: [1, 'x'] })

const packets = new PacketRegistry({ Where, Slap, Message, Plain, Spelled })
declare const connection: ConatSocketClient
declare const client: Client
declare const source: {
  on(name: string, listener: () => void): void
  off(name: string, listener: () => void): void
}

async function program(): Promise<void> {
  const socket = new PacketSocket(connection, packets, { timeout: 5000, limits: { calls: 10 } })
  const { signal } = new AbortController()
  await socket.waitUntilWritable({ timeout: 500, signal })
  await createIntercom(client, { timeout: 500, signal })
  // @ts-expect-error there is nothing to begin with
  await socket.waitUntilWritable({ deadline: 500 })
  const where = await socket.send(['Where', { id: 7 }])
  same<typeof where, { x: number; z?: number }>(true)
  const again = await socket.send(new Where({ id: 7 }), { signal: new AbortController().signal })
  same<typeof again, { x: number; z?: number }>(true)
  const outcomes = await socket.send(['Bundle', [['Slap'], new Slap()]])
  if (!('length' in outcomes[0]!)) outcomes[0]?.error?.code satisfies number | undefined
  socket.post(['Slap', { why: 'late' }]) satisfies boolean
  socket.post(['Slap'])
  socket.post(new Plain())
  socket.post(['Redirect', '/'])
  // @ts-expect-error there is no such packet
  socket.post(['Nope'])
  // @ts-expect-error a key of another type
  socket.send(['Where', { id: '7' }])
  // @ts-expect-error a key that is not there
  socket.post(['Slap', { reason: 'late' }])
  // @ts-expect-error there is no such option
  new PacketSocket(connection, packets, { timeuot: 1 })

  const server = new PacketServer(source, packets)
  server.handle(Where, ({ data }) => ({ x: data.id }))
  server.handle(Where, async ({ data }) => ({ x: data.id, z: 1 }))
  server.handle(Slap, (packet, { req }) => req.user && packet.isRude)
  server.handle(Slap, { validate: packet => void packet.data.why?.length })
  // @ts-expect-error the answer lacks a key
  server.handle(Where, () => ({}))
  server.use(async (packet, { req }, next) => (packet.data.ok ? next() : req.user))
  server.on('connection', each => each.on('rejected', (error, packet) => [error.code, packet?.data]))
  server.to('room').send(['Slap', { why: 'x' }], { local: true })
}

same<ResultOf<InstanceType<typeof Where>>, { x: number; z?: number }>(true)
const dehydrated: Dehydrated<{ Slap: typeof Slap }> = ['Slap', { why: 'x' }]
const hydrated: PacketInstance = packets.hydrate(['Plain'])
packets.decode('Slap', new Uint8Array()).isRude satisfies boolean
packets.decode('Slap', new Uint8Array()).data.why satisfies string | undefined
void [program, dehydrated, hydrated, Spelled.data.n]
// @ts-expect-error an option that is none
Packet({}, { reslut: 'bool' })
// @ts-expect-error a handler that returns something else than its result
Packet({}, { result: 'uint8', respond: () => 'x' })
