// Our sockets. With an address over a wire and a broker, without one over the fabric of the process.
import { once } from 'node:events'
import { connect, init } from 'selvedge'

const subject = 'bench.socket'

export async function broker() {
  const server = init({ port: 0 })
  await once(server, 'ready')
  return { address: `http://127.0.0.1:${server.address().port}` }
}

export async function serve({ address, wire, window, onData, onRequest }) {
  const listener = connect({ address, wire, noCache: true }).socket.listen(subject, { maxQueueSize: window })
  listener.on('connection', socket => {
    socket.on('data', data => onData(bytes(data)))
    socket.on('request', message => message.respondSync(onRequest(bytes(message.data))))
  })
  await listener.waitUntilReady(10_000)
  return { address }
}

export async function session({ address, wire, window }) {
  const socket = connect({ address, wire, noCache: true }).socket.connect(subject, { maxQueueSize: window })
  await socket.waitUntilReady(10_000)
  return { send, request: async data => bytes((await socket.request(data)).data) }

  function send(data) {
    try {
      socket.write(data)
    } catch (err) {
      if (err.code !== 'ENOBUFS') throw err
      return socket.waitUntilDrain().then(() => send(data))
    }
  }
}

const bytes = data =>
  Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength)
