// An end that breaks the rules loses its connection, with the right words; nobody else notices.
import { once } from 'node:events'
import net from 'node:net'
import { type Connection, connect, Draft, FastReply, MessageHandler, type Server } from 'selvedge/sockety'
import { closeAll, closed, dial, HOST, listen, portOf } from './pairs'

const ID = '00112233445546778899aabbccddeeff'
const DATA = `21 14 40 ${ID} 01 61 02`
const STREAM = `23 13 00 ${ID} 01 61`
const FILE = `21 1a 10 ${ID} 01 61 01 0300 00 03 01 6e`
const TWO_FILES = `21 18 10 ${ID} 01 61 02 0600 00 03`

/** Behind a good header: what is wrong, and what is said of it. */
const ROWS: readonly [string, string][] = [
  ['ff', 'Unknown packet type bits'],
  [`${STREAM} ${STREAM}`, 'There is already packet in process.'],
  ['60 01 00', 'There is no response in process.'],
  [`21 14 00 ${ID} 01 61 00`, 'The message packet size was malformed.'],
  [`51 22 00 ${ID} ${ID} 00`, 'The response packet size was malformed.'],
  ['e0 01 00', 'There is no data expected.'],
  [`${DATA} e0 02 6161 e0 01 61`, 'There is no data expected.'],
  ['21 05 40 00112233 e0 01 61', 'There is no data expected.'],
  [`${DATA} e0 03 616161`, 'Data sent over expected size.'],
  ['70 01 61', 'There is no stream in process.'],
  [`${DATA} 80`, 'There is no stream in process.'],
  ['c0 01 61', 'There is no message processed.'],
  [`${FILE} c1 01 01 61`, 'Received File with index higher than in message.'],
  [`${FILE} d1 01`, 'Received File with index higher than in message.'],
  [`${TWO_FILES} 60 02 01 61 c1 01 01 61`, 'There is no file 1 available yet.'],
  [`21 1d 10 ${ID} 01 61 02 0300 00 03 01 6e 00 00 00 d1 01 d1 01`, 'File has been already finished.'],
  [`${FILE} c0 04 61616161`, 'File sent over expected size.'],
  [`${FILE} c0 02 6161 d0`, 'File has been finished before its expected size.'],
]

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')

afterEach(closeAll)

/** A server, and a client of it that must not notice anything. */
async function neighbourhood(options = {}): Promise<{ server: Server; neighbour: Connection }> {
  const server = await listen(options)
  const handler = new MessageHandler().action('ping', () => FastReply.Accept).use(() => 3)
  server.on('connection', connection => connection.on('message', handler))
  const accepted = once(server, 'connection')
  const neighbour = await dial(portOf(server), options)
  await accepted
  return { server, neighbour }
}

async function strangerAt(server: Server): Promise<net.Socket> {
  const stranger = net.connect(portOf(server), HOST)
  stranger.on('error', () => {})
  stranger.resume()
  await once(stranger, 'connect')
  return stranger
}

async function ping(neighbour: Connection): Promise<void> {
  expect(await neighbour.send(Draft.for('ping')()).response()).toBe(FastReply.Accept)
}

test('every broken rule ends that connection of a server, and no other', async () => {
  const { server, neighbour } = await neighbourhood()
  for (const [row, text] of ROWS) {
    const accepted = once(server, 'connection') as Promise<[Connection]>
    const stranger = await strangerAt(server)
    stranger.write(bytes('e3'))
    const [connection] = await accepted
    const ended = new Promise<Error>(resolve => connection.once('error', resolve))
    const gone = closed(connection)
    const cut = once(stranger, 'close')
    stranger.write(bytes(row))
    expect(await ended).toMatchObject({ code: 'ERR_SOCKETY_PROTOCOL', message: text })
    await Promise.all([gone, cut])
    await ping(neighbour)
  }
  expect(server.clients.length).toBe(1)
})

test('the same at a client, whether anybody listens to its errors or not', async () => {
  const { neighbour } = await neighbourhood()
  for (const [row, text] of ROWS) {
    const server = net.createServer(socket => {
      socket.on('error', () => {})
      socket.resume()
      socket.write(bytes(`e3 ${row}`))
    })
    server.listen(0, HOST)
    await once(server, 'listening')
    const connection = connect((server.address() as net.AddressInfo).port, HOST)
    await closed(connection)
    expect(connection.closeReason).toMatchObject({ code: 'ERR_SOCKETY_PROTOCOL', message: text })
    server.close()
    await once(server, 'close')
  }
  await ping(neighbour)
})

test.each([
  ['16 03 01', 'Invalid control byte'],
  ['e2 00 00', 'Number of max concurrent channels must be between 1 and 4096'],
])('whoever begins with %s is never a connection', async (row, text) => {
  const { server, neighbour } = await neighbourhood()
  const seen: unknown[] = []
  server.on('connection', connection => seen.push(connection))
  const stranger = await strangerAt(server)
  const cut = once(stranger, 'close')
  stranger.write(bytes(row))
  await cut
  await ping(neighbour)
  expect(seen).toEqual([])
  const other = net.createServer(socket => socket.resume().write(bytes(row)))
  other.listen(0, HOST)
  await once(other, 'listening')
  const connection = connect((other.address() as net.AddressInfo).port, HOST)
  await expect(connection.ready()).rejects.toThrow(text)
  other.close()
})

test('whoever connects and says nothing is let go', async () => {
  const { server, neighbour } = await neighbourhood({ handshakeTimeout: 100 })
  const stranger = await strangerAt(server)
  await once(stranger, 'close')
  await ping(neighbour)
})

test('more channels than offered, more header bytes and more files than allowed', async () => {
  const { server, neighbour } = await neighbourhood({
    maxReceivedChannels: 16,
    maxHeaderBytes: 1000,
    maxFiles: 4,
  })
  for (const [row, code] of [
    ['10 10', 'ERR_SOCKETY_PROTOCOL'],
    [`25 ff 0f 02 ${ID} ff ff ${'61'.repeat(1200)}`, 'ERR_SOCKETY_LIMIT'],
    [`21 25 10 ${ID} 01 61 05 0000 ${'00 00 00'.repeat(5)}`, 'ERR_SOCKETY_LIMIT'],
  ]) {
    const accepted = once(server, 'connection') as Promise<[Connection]>
    const stranger = await strangerAt(server)
    stranger.write(bytes('e3'))
    const [connection] = await accepted
    const gone = closed(connection)
    stranger.write(bytes(row!))
    await gone
    expect(connection.closeReason).toMatchObject({ code })
    await ping(neighbour)
  }
})

test('what nobody reads holds up its sender and nobody else, and ends in the end', async () => {
  const { server, neighbour } = await neighbourhood({ maxUnreadBytes: 100_000, timeout: 400 })
  const keep: unknown[] = []
  server.on('connection', connection => connection.on('message', message => keep.push(message)))
  const stranger = await strangerAt(server)
  stranger.write(bytes('e3'))
  const [connection] = (await once(server, 'connection')) as [Connection]
  // A listener of its own: the handler would discard what it does not read.
  connection.removeAllListeners('message')
  connection.on('message', message => keep.push(message))
  const gone = closed(connection)
  const big = Buffer.concat([bytes(`23 13 00 ${ID} 01 61 78 000020`), Buffer.alloc(0x200000)])
  const heartbeats = setInterval(() => stranger.write(bytes('a0')), 50)
  stranger.write(big)
  await ping(neighbour)
  await gone
  clearInterval(heartbeats)
  expect(connection.closeReason).toMatchObject({ code: 'ERR_SOCKETY_UNREAD' })
  await ping(neighbour)
})
