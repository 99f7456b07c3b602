// A server of packets that is attacked, over TCP, WebSocket and the wire of flecks; and a neighbour, which only calls it.
const { EventEmitter, once } = require('node:events')
const { createServer } = require('node:http')
const net = require('node:net')
const { Server } = require('socket.io')
const { WebSocketServer } = require('ws')
const P = require('selvedge/packets')

const broken = []
process.on('uncaughtException', error => broken.push(error.stack))
process.on('unhandledRejection', error => broken.push(String(error?.stack ?? error)))

const Big = P.Packet({})
const Echo = P.Packet('packed')
const Num = P.Packet({ n: 'uint8' })
const Slow = P.Packet({})
const packets = new P.PacketRegistry({ Big, Echo, Num, Slow })

const closing = []
/** Ports of those who are connected over TCP. */
const connected = new Set()
const waits = { count: 0, failed: [] }
const answered = new EventEmitter()
let working = 0
let slowness = 300

/** The most of the processor's time that passed until others had their turn, in ms: another program's time is not in it. */
let longestTurn = 0
let last = process.cpuUsage()
const turn = () => {
  const { user, system } = process.cpuUsage(last)
  longestTurn = Math.max(longestTurn, (user + system) / 1000)
  last = process.cpuUsage()
  setTimeout(turn, 1).unref()
}
turn()

const listening = server =>
  new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(server.address().port)))

const commands = {
  async serve() {
    const tcp = net.createServer(socket => {
      const { remotePort } = socket
      connected.add(remotePort)
      socket.once('close', () => connected.delete(remotePort))
    })
    const http = createServer()
    const io = createServer()
    const web = new WebSocketServer({ server: http })
    const flecks = new Server(io)
    const servers = [
      new P.PacketServer(tcp, packets, { link: P.overStream }),
      new P.PacketServer(web, packets, { link: P.overWebSocket }),
      new P.PacketServer(flecks, packets, { link: P.overFlecks }),
    ]
    for (const server of servers) {
      server.handle(Echo, ({ data }) => data)
      server.handle(Big, () => Buffer.alloc(500_000))
      server.handle(Slow, async () => {
        working += 1
        if (slowness > 0) await new Promise(resolve => setTimeout(resolve, slowness))
        working -= 1
      })
    }
    closing.push(
      () => Promise.all(servers.map(server => server.close())),
      () => tcp.close(),
      () => web.close(),
      () => http.close(),
      () => flecks.close(),
    )
    return { tcp: await listening(tcp), web: await listening(http), flecks: await listening(io) }
  },
  visit({ port }) {
    const stream = net.connect(port, '127.0.0.1')
    const socket = new P.PacketSocket(P.overStream(stream), packets)
    let isLeaving = false
    let number = 0
    const call = async () => {
      try {
        const asked = ++number
        const answer = await socket.send(['Echo', asked])
        if (answer !== asked) waits.failed.push(`answered ${answer} to ${asked}`)
      } catch (error) {
        if (!isLeaving) waits.failed.push(String(error))
      }
      waits.count += 1
      answered.emit('one')
      if (!isLeaving) setTimeout(call, 2)
    }
    void call()
    closing.push(() => {
      isLeaving = true
      return socket.close()
    })
  },
  /** One call that is under way now is answered, and one that is made after it: the neighbour was served all the while. */
  async witness() {
    await once(answered, 'one')
    await once(answered, 'one')
    return commands.report()
  },
  report() {
    const { count, failed } = waits
    Object.assign(waits, { count: 0, failed: [] })
    const { rss } = process.memoryUsage()
    const told = { longestTurn, count, failed, rss, working, broken: broken.splice(0) }
    longestTurn = 0
    return told
  },
  isConnected: ({ port }) => connected.has(port),
  hurry() {
    slowness = 0
  },
  async stop() {
    for (const close of closing) await close()
    process.disconnect()
  },
}

process.on('message', async ({ id, command, ...options }) => {
  const answer = await Promise.resolve()
    .then(() => commands[command](options))
    .then(
      value => ({ id, value }),
      error => ({ id, error: String(error?.stack ?? error) }),
    )
  if (process.connected) process.send(answer)
})
process.send({ id: 0 })
