// What one turn writes leaves in one frame, and the end rides on it: looked at on the wire.
import { once } from 'node:events'
import nodeNet from 'node:net'
import { type ConatServer, connect, init } from 'selvedge'
import { over } from 'selvedge/net'

let broker: ConatServer
let proxy: nodeNet.Server
/** By connection. */
let sent: Buffer[][] = []
beforeEach(async () => {
  broker = init({ port: 0, host: '127.0.0.1' })
  await broker.waitUntilReady()
  sent = []
  proxy = nodeNet.createServer(socket => {
    const inner = nodeNet.connect(broker.address()!.port, '127.0.0.1')
    const mine: Buffer[] = []
    sent.push(mine)
    socket.on('data', bytes => mine.push(bytes))
    socket.pipe(inner).pipe(socket)
    for (const [one, other] of [
      [socket, inner],
      [inner, socket],
    ] as const)
      one.on('error', () => {}).on('close', () => other.destroy())
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
})
afterEach(async () => {
  await broker.close()
  await new Promise(resolve => proxy.close(resolve))
})

/** Of the request before the frames. */
const HEAD_END = '\r\n\r\n'

/** The frames that clients have sent with this in them: a length of four bytes, then so many. */
function framesWith(text: string): Buffer[] {
  const frames: Buffer[] = []
  for (const mine of sent) {
    let rest = Buffer.concat(mine)
    rest = rest.subarray(rest.indexOf(HEAD_END) + HEAD_END.length)
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32LE()) {
      const size = 4 + rest.readUInt32LE()
      frames.push(rest.subarray(4, size))
      rest = rest.subarray(size)
    }
  }
  return frames.filter(frame => frame.includes(text))
}

/** `[1]` in MessagePack. */
const FIN = Buffer.from([0x91, 0x01])

test('writes of one turn, and the end behind them, are one frame; so is an answer with its end', async () => {
  const address = `http://127.0.0.1:${(proxy.address() as nodeNet.AddressInfo).port}`
  const [host, guest] = [connect({ address, noCache: true }), connect({ address, noCache: true })]
  const server = over(host).createServer({ allowHalfOpen: true }, socket => {
    socket.resume().on('end', () => socket.end('the answer'))
  })
  await once(server.listen('srv'), 'listening')
  const socket = over(guest).connect('srv').resume()
  await once(socket, 'connect')
  for (const word of ['one ', 'turn ', 'writes ']) socket.write(word)
  socket.end('this')
  await once(socket, 'close')
  for (const text of ['one turn writes this', 'the answer']) {
    // The first one: what is not acknowledged in time is sent again.
    const [frame] = framesWith(text)
    expect(frame!.subarray(frame!.indexOf(text) + text.length).includes(FIN)).toBe(true)
  }
  await new Promise<void>(resolve => server.close(() => resolve()))
  await Promise.all([host.close(), guest.close()])
})
