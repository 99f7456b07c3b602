// A real nats-server as the broker, and NATS's own client. Core NATS promises nothing, so a socket is a connection with
// cumulative acknowledgements of ours over a subject, one for each turn of the event loop.
import { connect } from '@nats-io/transport-node'
import { Credit } from './credit.mjs'
import { startNats } from './nats-cluster.mjs'

export async function broker({ nodes }) {
  const { addresses, pids } = await startNats(nodes)
  const [address, far = address] = addresses
  return { address, far, pids }
}

export async function serve({ address, accept, onRequest }) {
  const client = await connect({ servers: address })
  const sockets = new Map()
  let sent = 0
  on(client, 'bench.hello', message => {
    const id = message.string()
    const credit = new Credit(Infinity)
    sockets.set(id, credit)
    const onData = accept()
    acknowledged(client, `bench.in.${id}`, `bench.ack.${id}`, onData)
    on(client, `bench.ask.${id}`, question => question.respond(onRequest(bytes(question.data))))
    on(client, `bench.back.${id}`, ack => credit.acknowledge(Number(ack.string())))
    client.flush().then(() => message.respond())
  })
  await client.flush()
  return { address, count: () => sockets.size, broadcast, drained }

  function broadcast(data) {
    sent++
    client.publish('bench.all', data)
  }

  async function drained() {
    for (const credit of sockets.values()) {
      credit.sent = sent
      await credit.below(0)
    }
  }
}

let opened = 0

export async function session({ address, window }) {
  return { open }

  async function open({ onData } = {}) {
    const client = await connect({ servers: address })
    const id = `${process.pid}-${opened++}`
    const credit = new Credit(window)
    on(client, `bench.ack.${id}`, ack => credit.acknowledge(Number(ack.string())))
    if (onData) acknowledged(client, 'bench.all', `bench.back.${id}`, onData)
    await client.request('bench.hello', id, { timeout: 10_000 })
    return { send, request }

    function send(data) {
      if (credit.used()) return credit.below(window >> 1).then(() => send(data))
      credit.sent++
      client.publish(`bench.in.${id}`, data)
    }

    async function request(data) {
      return bytes((await client.request(`bench.ask.${id}`, data, { timeout: 10_000 })).data)
    }
  }
}

export async function subjects({ address }) {
  const client = await connect({ servers: address })
  return {
    subscribe: (subject, onData) => each(subject, message => onData(bytes(message.data))),
    respond: (subject, answer) => each(subject, message => message.respond(answer(bytes(message.data)))),
    publish: (subject, data) => client.publish(subject, data),
    confirm: (subject, data) => {
      client.publish(subject, data)
      return client.flush()
    },
    request: async (subject, data) => bytes((await client.request(subject, data, { timeout: 10_000 })).data),
    async crowd(patterns) {
      for (const pattern of patterns) client.subscribe(pattern, { callback() {} })
      await client.flush()
    },
  }

  async function each(subject, handle) {
    const messages = client.subscribe(subject)
    ;(async () => {
      for await (const message of messages) handle(message)
    })()
    await client.flush()
  }
}

function on(client, subject, handle) {
  client.subscribe(subject, { callback: (_err, message) => handle(message) })
}

/** Reads a subject, and says on another one how many messages were read, once a turn. */
function acknowledged(client, subject, back, onData) {
  let read = 0
  let due = false
  on(client, subject, message => {
    onData(bytes(message.data))
    read++
    if (due) return
    due = true
    setImmediate(() => {
      due = false
      client.publish(back, String(read))
    })
  })
}

const bytes = data => Buffer.from(data.buffer, data.byteOffset, data.byteLength)
