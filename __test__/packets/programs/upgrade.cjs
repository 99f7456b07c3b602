// One process of a system that is upgraded while it runs: a server or a client, of the old or the new version. A client never
// stops: it posts numbers and makes calls, connects again when its server has left, and keeps a journal of what it was told.
const { once } = require('node:events')
const { connect } = require('selvedge')
const { Packet, PacketRegistry, PacketServer, PacketSocket } = require('selvedge/packets')

const broken = []
process.on('uncaughtException', error => broken.push(error.stack))
process.on('unhandledRejection', error => broken.push(String(error?.stack ?? error)))

const versions = {
  old: {
    Ask: [{ n: 'uint32' }, 'uint32'],
    Gone: [{}],
    Tick: [{ from: 'uint8', n: 'uint32' }],
    Where: [{ id: 'uint32' }, { by: 'string', x: 'uint32' }],
  },
  new: {
    Ask: [{ n: 'uint32', 'why?': 'string' }, 'uint32'],
    Extra: [{}, 'string'],
    Tick: [{ from: 'uint8', n: 'uint32', 'at?': 'string' }],
    Where: [
      { id: 'uint32', 'zone?': 'string' },
      { by: 'string', x: 'uint32', 'zone?': 'string' },
    ],
  },
}
/** Nothing is given up because a machine is slow: a call ends by its answer, or with its socket. */
const options = { timeout: 300_000 }
const PARALLEL_CALLS = 4

let client
let age
let name
let registry
const count = (told, key) => (told[key] = (told[key] ?? 0) + 1)

const server = {
  ticks: {},
  rejected: {},
  asked: {},
  start() {
    this.source = client.socket.listen('upgrade')
    this.packets = new PacketServer(this.source, registry, options)
    this.packets.on('connection', socket =>
      socket.on('rejected', ({ code, packet }) => count(this.rejected, `${code} ${packet}`)),
    )
    this.handle('Tick', ({ data: { from, n } }) => void (this.ticks[from] ??= []).push(n))
    this.handle('Where', async ({ data: { id, zone } }, socket) => {
      if (id % 8 === 0) await this.ask(socket, id)
      return { by: name, x: id + 1, zone }
    })
    this.handle('Extra', () => 'extra')
    return this.source.waitUntilReady()
  },
  handle(packet, handler) {
    const Class = registry.get(packet)
    if (Class !== undefined) this.packets.handle(Class, handler)
  },
  /** A call the other way, while that of the client waits. */
  async ask(socket, n) {
    const answer = await socket.send(['Ask', { n, why: 'why not' }]).catch(({ code }) => code)
    count(this.asked, answer === n + 1 ? 'answered' : String(answer))
  },
  report() {
    return { ticks: this.ticks, rejected: this.rejected, asked: this.asked }
  },
  async leave() {
    await this.packets.close()
    await this.source.end()
  },
}

const visitor = {
  journal: { sockets: [], answers: {}, told: {}, wrong: [] },
  n: 0,
  calls: 0,
  start({ number }) {
    this.number = number
    this.running = this.run()
  },
  async run() {
    while (!this.isLeaving) await this.visit()
  },
  /** From connecting to the end of that socket. */
  async visit() {
    const socket = new PacketSocket(client.socket.connect('upgrade'), registry, options)
    // `sure`: an answer to a call says that all posts before it were accepted.
    const kept = { first: this.n, next: this.n, sure: this.n, by: undefined, closed: undefined }
    this.journal.sockets.push(kept)
    socket.handle(registry.get('Ask'), ({ data }) => data.n + 1)
    const closed = once(socket, 'closed')
    let isOpen = true
    closed.then(([reason]) => {
      isOpen = false
      kept.closed = reason?.code
    })
    for (let round = 0; isOpen && !this.isLeaving; round++) {
      this.post(socket, kept, (round % 20) + 1)
      const posted = this.n
      const calls = Array.from({ length: PARALLEL_CALLS }, () => this.call(socket, kept, posted))
      if (round % 10 === 0) await this.other(socket)
      await Promise.all(calls)
    }
    // What was posted last is not asked about: to close is enough.
    if (isOpen) {
      this.post(socket, kept, 20)
      await socket.close()
    }
    await closed
  },
  post(socket, kept, length) {
    try {
      for (let i = 0; i < length; i++) {
        socket.post(['Tick', { from: this.number, n: this.n, at: 'now' }])
        kept.next = ++this.n
      }
    } catch ({ code }) {
      count(this.journal.told, code)
    }
  },
  async call(socket, kept, posted) {
    const id = this.calls++
    try {
      const { by, x, zone } = await socket.send(['Where', { id, zone: 'north' }])
      if (x !== id + 1 || ![undefined, 'north'].includes(zone)) this.journal.wrong.push([id, x, zone])
      count(this.journal.answers, `${by}, ${zone}`)
      kept.sure = Math.max(kept.sure, posted)
      kept.by = by
    } catch ({ code }) {
      count(this.journal.told, code)
    }
  },
  /** What only one version has. */
  async other(socket) {
    try {
      if (age === 'old') socket.post(['Gone'])
      else count(this.journal.answers, await socket.send(['Extra']))
    } catch ({ code }) {
      count(this.journal.told, code)
    }
  },
  report() {
    return this.journal
  },
  async leave() {
    this.isLeaving = true
    await this.running
  },
}

let role
const commands = {
  async start({ remote, ...rest }) {
    ;({ age, name } = rest)
    client = connect({ ...remote, noCache: true })
    registry = new PacketRegistry(
      Object.fromEntries(
        Object.entries(versions[age]).map(([key, [data, result]]) => [key, Packet(data, { result })]),
      ),
    )
    role = rest.number === undefined ? server : visitor
    await role.start(rest)
  },
  /** Waits until so many more calls were answered, by one of these servers. */
  async progress({ answers, by }) {
    const told = () =>
      Object.entries(visitor.journal.answers)
        .filter(([key]) => by.includes(key.split(',')[0]))
        .reduce((sum, [, number]) => sum + number, 0)
    const first = told()
    while (told() < first + answers) await new Promise(resolve => setTimeout(resolve, 5))
  },
  report: () => ({ ...role.report(), broken }),
  async leave() {
    await role.leave()
    return commands.report()
  },
  async stop() {
    await client.close()
    process.disconnect()
  },
}

process.on('message', async ({ id, command, ...rest }) => {
  const answer = await Promise.resolve(commands[command](rest)).then(
    value => ({ id, value }),
    error => ({ id, error: String(error?.stack ?? error) }),
  )
  if (process.connected) process.send(answer)
})
process.send({ id: 0 })
