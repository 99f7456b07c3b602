// Ours. All sockets of a process share one client connection, as they are meant to.
import { connect, init } from 'selvedge'
import { transports } from './transports.mjs'

const subject = 'bench.socket'
// 1000 sockets, or 100 000 other subscriptions, must fit one client.
const limits = { maxSubscriptionsPerClient: 200_000 }
// As much as the peers may have in flight.
const maxQueueBytes = 64 << 20

let server

export async function broker({ transport }) {
  server = init({ ...limits, ...transports[transport].init() })
  await server.waitUntilReady(10_000)
  return { address: transports[transport].address(server) }
}

export async function serve({ window, accept, onRequest, embedded, ...contender }) {
  const { address } = embedded ? await broker(contender) : contender
  const client = await open(embedded ? {} : contender)
  const listener = client.socket.listen(subject, { maxQueueSize: window, maxQueueBytes })
  listener.on('connection', socket => {
    const onData = accept()
    socket.on('data', data => onData(bytes(data)))
    socket.on('request', message => message.respondSync(onRequest(bytes(message.data))))
  })
  await listener.waitUntilReady(10_000)
  const sockets = () => Object.values(listener.sockets)
  return {
    address,
    count: () => sockets().length,
    broadcast: data => listener.write(data),
    drained: () => Promise.all(sockets().map(socket => socket.waitUntilDrain())),
  }
}

export async function session({ window, ...contender }) {
  const client = await open(contender)
  return {
    async open({ onData } = {}) {
      const socket = client.socket.connect(subject, { maxQueueSize: window, maxQueueBytes })
      if (onData) socket.on('data', data => onData(bytes(data)))
      await socket.waitUntilReady(10_000)
      return {
        send: data => send(socket, data),
        request: async data => bytes((await socket.request(data)).data),
      }
    },
  }
}

function send(socket, data) {
  try {
    socket.write(data)
  } catch (err) {
    if (err.code !== 'ENOBUFS') throw err
    // At half of the window, as the peers.
    return socket.waitUntilWritable().then(() => send(socket, data))
  }
}

export async function subjects(contender) {
  const client = await open(contender)
  return {
    subscribe: (pattern, onData) => each(pattern, message => onData(bytes(message.data))),
    respond: (pattern, answer) => each(pattern, message => message.respondSync(answer(bytes(message.data)))),
    publish: (to, data) => void client.publishSync(to, data),
    confirm: (to, data) => client.publish(to, data),
    request: async (to, data) => bytes((await client.request(to, data)).data),
    async crowd(patterns) {
      for (const pattern of patterns) client.subscribeSync(pattern)
      await client.waitUntilReady({ timeout: 30_000 })
    },
  }

  async function each(pattern, handle) {
    const messages = await client.subscribe(pattern)
    ;(async () => {
      for await (const message of messages) handle(message)
    })()
  }
}

async function open({ address, transport, wire }) {
  const options = { address, wire, noCache: true, ...transports[transport]?.connect?.() }
  const client = address ? connect(options) : server.client()
  await client.waitUntilSignedIn({ timeout: 10_000 })
  return client
}

const bytes = data =>
  Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength)
