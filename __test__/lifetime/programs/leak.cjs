// Opens, uses and closes again and again: [sockets|clients] [cycles] [address|-]. Run with --expose-gc.
// Prints what is left, after a warm-up and at the end.
const { once } = require('node:events')
const v8 = require('node:v8')
const { Client, connect, ConatSocketClient, ServerSocket, init } = require('selvedge')
const { Ticket } = require('../../../dist/messaging/ticket.js')
const { Subscription } = require('../../../dist/messaging/subscription.js')

// Every handle that events are routed to, until it is forgotten.
const events = require('../../../dist/engine/events.js')
const { route, forget } = events
const routed = new Set()
events.route = (handle, target) => {
  routed.add(handle)
  route(handle, target)
}
events.forget = handle => {
  routed.delete(handle)
  forget(handle)
}

const [what, cycles, place] = process.argv.slice(2)
const payload = Buffer.alloc(100_000)

async function socketCycle(client, subject) {
  const socket = client.socket.connect(subject)
  socket.write(payload)
  await once(socket, 'data')
  await client.request('ask', payload)
  for await (const answer of client.requestMany('ask', 1, { maxMessages: 1 })) answer.data
  const subscription = await client.subscribe(`own.${client.id}`)
  subscription.close()
  socket.close()
  await once(socket, 'closed')
}

async function measure() {
  // Promises that have just settled, and what finalizers free.
  for (let i = 0; i < 3; i++) {
    global.gc()
    await new Promise(setImmediate)
  }
  const live = Object.fromEntries(
    [Client, ConatSocketClient, ServerSocket, Ticket, Subscription].map(type => [
      type.name,
      v8.queryObjects(type),
    ]),
  )
  const resources = process.getActiveResourcesInfo().length
  return { live, handles: routed.size, resources, rss: process.memoryUsage.rss() }
}

async function main() {
  const broker = init({ port: place === '-' ? null : 0 })
  await broker.waitUntilReady()
  const open = () =>
    place === '-'
      ? broker.client()
      : connect({ address: `http://127.0.0.1:${broker.address().port}`, noCache: true })
  const host = broker.client()
  const server = host.socket.listen('leak')
  server.on('connection', socket => socket.on('data', data => socket.write(data)))
  const answers = await host.subscribe('ask')
  answers.emitter.on('message', message => message.respondSync(message.data))
  await server.waitUntilReady()
  const client = open()
  const cycle = async () => {
    if (what === 'sockets') return await socketCycle(client, 'leak')
    const own = open()
    await socketCycle(own, 'leak')
    await own.close()
  }
  const many = async count => {
    for (let i = 0; i < count; i++) await cycle()
    while (Object.keys(server.sockets).length > 0) await new Promise(resolve => setTimeout(resolve, 5))
  }
  await many(cycles / 2)
  const before = await measure()
  await many(cycles)
  const after = await measure()
  console.log(JSON.stringify({ before, after, cycles: Number(cycles) }))
  await client.close()
  await host.close()
  await broker.close()
}

main()
