// One process of those that live beside the attacker: the broker, the neighbour, or the victim.
const { EventEmitter, once } = require('node:events')
const { connect, init } = require('selvedge')
const { cpuWaits, waitedSince } = require('../../support/cpu-waits.cjs')

const [role, address] = process.argv.slice(2)
/** Where the broker is, for those who live beside it. */
const there = () => ({ noCache: true, ...(address.startsWith('{') ? JSON.parse(address) : { address }) })
const broken = []
/** Milliseconds between two looks at who waits for a processor. */
const LOOK_MS = 250
process.on('uncaughtException', error => broken.push(String(error.stack)))
process.on('unhandledRejection', error => broken.push(String(error?.stack ?? error)))

const commands = { report: () => ({ broken, rss: process.memoryUsage.rss(), polluted: pollution() }) }

/** What has been added to the prototypes of all objects. */
function pollution() {
  return [{}, [], () => {}].flatMap(value => {
    const names = []
    for (const name in value) names.push(name)
    return value.polluted === undefined ? names : [...names, 'polluted']
  })
}

const roles = {
  async broker() {
    const { asks, users, ...options } = JSON.parse(address || '{}')
    let asked = 0
    const isAllowed = () => {
      asked += 1
      return true
    }
    commands.asked = () => asked
    // Who says who he is; the others are one user.
    const getUser = ({ handshake }) => ({ name: handshake.headers['x-user'] ?? 'honest' })
    const callbacks = { ...(asks && { isAllowed }), ...(users && { getUser }) }
    const broker = init({ port: 0, host: '127.0.0.1', ...options, ...callbacks })
    await broker.waitUntilReady()
    commands.totals = () => broker.totals
    let last
    let gap = 0
    commands.watch = () => {
      last = Date.now()
      setInterval(() => {
        const { connections } = broker.totals
        gap = Math.max(gap, Date.now() - last - (connections < 0 ? 1 : 0))
        last = Date.now()
      }, 10).unref()
    }
    commands.gap = () => {
      const longest = Math.max(gap, Date.now() - last)
      gap = 0
      return longest
    }
    return broker.address().port
  },

  /** An echo among honest people; notes the longest that an answer took, without what its processes waited for a processor. */
  async neighbour() {
    const [host, guest] = [connect(there()), connect(there())]
    host.socket.listen('honest').on('connection', socket => socket.on('data', data => socket.write(data)))
    const socket = guest.socket.connect('honest')
    await socket.waitUntilReady()
    let worst = 0
    let answered = 0
    let asked = Date.now()
    const disturbed = []
    for (const name of ['disconnected', 'closed']) socket.on(name, () => disturbed.push(name))
    // Looked at now and then: a wait begins with the look before it.
    let pids = [process.pid]
    let look = cpuWaits(pids)
    setInterval(() => {
      look = cpuWaits(pids)
    }, LOOK_MS).unref()
    const waited = () => {
      const ms = Date.now() - asked
      return ms < 2 * LOOK_MS ? ms : ms - waitedSince(before)
    }
    let before = look
    socket.on('data', n => {
      worst = Math.max(worst, waited())
      answered += 1
      setTimeout(() => {
        asked = Date.now()
        before = look
        socket.write(n + 1)
      }, 10)
    })
    socket.write(0)
    commands.beside = ({ broker }) => {
      pids = [process.pid, broker]
      look = cpuWaits(pids)
    }
    commands.latency = () => {
      // A question that is still open counts with its age.
      const now = {
        worst: Math.max(worst, socket.tcp.send.unsent > 0 ? waited() : 0),
        answered,
        disturbed,
      }
      worst = 0
      return now
    }
  },

  /** Sockets, a subscription and a service that the attacker writes to. */
  async victim() {
    const [host, guest] = [connect(there()), connect(there())]
    const server = host.socket.listen('victim')
    const sockets = {}
    const arrivals = new EventEmitter()
    server.on('connection', socket => {
      const record = { data: [], requests: 0, closed: null }
      sockets[socket.id] = { socket, record }
      arrivals.emit(socket.id)
      socket.on('data', (data, headers) => record.data.push(describe(data), headers))
      socket.on('request', message => {
        record.requests += 1
        message.respondSync(null)
      })
      socket.once('closed', reason => {
        record.closed = reason?.code ?? 'none'
      })
    })
    await server.waitUntilReady()
    // Tells how many requests it has had so far.
    const counter = host.socket.listen('counter')
    let requests = 0
    counter.on('connection', socket => {
      socket.on('data', () => socket.write(requests))
      socket.on('request', message => {
        requests += 1
        message.respondSync(null)
      })
    })
    await counter.waitUntilReady()
    commands.counter = () => counter.id
    // Puts all who come into one room.
    const crowd = host.socket.listen('crowd')
    crowd.on('connection', socket => socket.join('all'))
    crowd.room('all')
    await crowd.waitUntilReady()
    commands.crowd = () => crowd.id
    // Echoes, but to those who want to be fed: they get all that their windows take, and whether `write` returns false is ignored.
    const fed = host.socket.listen('fed', { maxQueueBytes: 8 * 1024 * 1024 })
    const feed = socket => {
      try {
        for (let n = 0; n < 8; n++) socket.write(Buffer.alloc(65_536))
      } catch (error) {
        if (error.code !== 'ENOBUFS') clearInterval(socket.feeding)
      }
    }
    fed.on('connection', socket => {
      socket.on('data', data => {
        if (data !== 'feed me') socket.write(data)
        else socket.feeding = setInterval(feed, 10, socket)
      })
      socket.once('closed', () => clearInterval(socket.feeding))
    })
    await fed.waitUntilReady()
    const subscription = await host.subscribe('plain.*')
    const plain = []
    subscription.emitter.on('message', message => {
      try {
        plain.push([describe(message.data), message.headers ?? null])
      } catch (error) {
        plain.push([error.code, null])
      }
    })
    commands.server = () => server.id
    // Has places for three crowds of 200 and a few more.
    commands.narrow = async ({ subject }) => {
      const narrow = host.socket.listen(subject, { maxSockets: 640, maxSocketsPerUser: 200 })
      await narrow.waitUntilReady()
      return narrow.id
    }
    // Whoever was answered is attached, perhaps before JavaScript knows.
    commands.seen = async ({ id }) => {
      if (!(id in sockets)) await once(arrivals, id)
      const { socket, record } = sockets[id]
      return { ...record, foreign: socket.stats.foreign }
    }
    commands.plain = () => plain.splice(0)
    commands.open = async ({ stream = true } = {}) => {
      const socket = guest.socket.connect('victim', { stream })
      await socket.waitUntilReady()
      const own = { data: [], closed: null }
      socket.on('data', data => own.data.push(describe(data)))
      socket.once('closed', reason => {
        own.closed = reason?.code ?? 'none'
      })
      opened[socket.id] = { socket, own }
      return socket.id
    }
    const opened = {}
    commands.own = ({ id }) => ({ ...opened[id].own, foreign: opened[id].socket.stats.foreign })
    commands.say = ({ id, data, headers }) => void opened[id].socket.write(data, headers)
    commands.request = async ({ subject }) => (await guest.request(subject, 'who?', { timeout: 30_000 })).data
    const service = await host.subscribe('honest.service')
    service.emitter.on('message', message => message.respondSync('honest'))
    commands.interest = ({ subject }) => guest.waitForInterest(subject, { timeout: 20_000 })
    commands.subscribe = async ({ subject }) => void (await host.subscribe(subject))
    commands.publish = async ({ subject, bytes }) => (await guest.publish(subject, Buffer.alloc(bytes))).count
    commands.sayLarge = ({ id, bytes }) => void opened[id].socket.write(Buffer.alloc(bytes))
    commands.drained = async ({ id }) => {
      await opened[id].socket.drain()
      return commands.seen({ id })
    }
  },
}

/** What a value is, short enough to be sent. */
function describe(data) {
  if (data === null || typeof data !== 'object') return data
  if (ArrayBuffer.isView(data)) return { bytes: data.byteLength }
  return { keys: Object.keys(data), isPlain: Object.getPrototypeOf(data) === Object.prototype }
}

process.on('message', async ({ question, command, ...rest }) => {
  try {
    process.send({ question, value: (await commands[command](rest)) ?? null })
  } catch (error) {
    process.send({ question, error: `${command}: ${error.stack}` })
  }
})
process.once('disconnect', () => process.exit(0))
roles[role]().then(value => process.send({ question: 0, value: value ?? null }))
