// One process of a test of faults: a broker, a server or a client. Its parent tells it what to do, and asks how it is.
// The traffic of a socket is numbers, 1, 2, 3 … in each direction: whatever is lost, doubled or out of order shows.
const { connect, init } = require('selvedge')

const broken = []
process.on('uncaughtException', error => broken.push(`uncaught: ${error.stack}`))
process.on('unhandledRejection', error => broken.push(`unhandled: ${error?.stack ?? error}`))

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

/** One end of a socket: writes numbers while it should, checks those that come. */
class End {
  written = 0
  got = 0
  wrong = []
  closed = []
  events = []
  echo = false

  constructor(socket) {
    this.socket = socket
    socket.on('data', data => {
      if (data.n !== this.got + 1) this.wrong.push({ expected: this.got + 1, came: data.n })
      this.got = data.n
      if (this.echo) socket.write({ n: ++this.written, at: data.at })
    })
    for (const name of ['disconnected', 'ready']) socket.on(name, () => this.events.push(name))
    socket.once('closed', reason => {
      this.closed.push(reason === undefined ? 'none' : reason.code)
      this.undelivered = reason?.undelivered
      isTalking = false
    })
  }

  get report() {
    const { written, got, wrong, closed, socket, events, undelivered } = this
    const unsent = socket.tcp.send.unsent
    return { id: socket.id, written, got, wrong, closed, undelivered, unsent, state: socket.state, events }
  }

  write(more) {
    try {
      this.socket.write({ n: this.written + 1, ...more })
      this.written += 1
      return true
    } catch (error) {
      if (error.code === 'ENOBUFS') return false
      if (error.code === 'EPIPE') return false
      throw error
    }
  }
}

let broker
let client
let server
const ends = []
const pending = []
let connections = 0
let isTalking = false

/** Writes on all ends, a few at a time, until told to stop. */
async function talk(pause, bytes) {
  const fill = bytes > 0 ? 'x'.repeat(bytes) : undefined
  while (isTalking) {
    for (const end of ends) if (end.socket.state !== 'closed') for (let i = 0; i < 5; i++) end.write({ fill })
    await sleep(pause)
  }
}

const commands = {
  async broker({ port, options }) {
    broker = init({ port, host: '127.0.0.1', ...options })
    await broker.waitUntilReady()
    return broker.address().port
  },
  async client({ options }) {
    client = connect({ noCache: true, ...options })
    client.on('connected', () => {
      connections += 1
    })
    await client.waitUntilReady()
  },
  /** `room`: which its sockets join, by the key of the process. */
  async listen({ subject, options, echo, room }) {
    server = client.socket.listen(subject, options)
    server.on('connection', socket => {
      if (room !== undefined) socket.join(room, { key: `of ${process.pid}` })
      const end = new End(socket)
      end.echo = echo
      ends.push(end)
    })
    await server.waitUntilReady()
    return server.id
  },
  async connect({ subject, count, options }) {
    const made = Array.from({ length: count }, () => new End(client.socket.connect(subject, options)))
    ends.push(...made)
    await Promise.all(made.map(end => end.socket.waitUntilReady()))
  },
  /** A service that is asked and does not answer before it is told to. */
  async serve({ subject }) {
    await client.service(subject, { work: () => new Promise(resolve => pending.push(resolve)) })
  },
  /** One that answers at once with what it was asked. */
  async serveEcho({ subject }) {
    const requests = await client.subscribe(subject, { queue: 'echo' })
    requests.emitter.on('message', message => message.respondSync(message.data))
  },
  pending: () => pending.length,
  connections: () => connections,
  answer() {
    for (const resolve of pending.splice(0)) resolve('done')
  },
  talk({ pause = 5, bytes = 0 }) {
    isTalking = true
    void talk(pause, bytes)
  },
  hush() {
    isTalking = false
  },
  write({ count, marker }) {
    for (let i = 0; i < count; i++) for (const end of ends) end.write({ marker })
  },
  async drain() {
    const open = ends.filter(end => end.socket.state !== 'closed')
    await Promise.all(open.map(end => end.socket.drain()))
  },
  report: () => ({ ends: ends.map(end => end.report), broken }),
  rss: () => process.memoryUsage.rss(),
  async many({ count, options, subject, socket }) {
    await many(count, options, subject, socket)
  },
  crowd: ({ since }) => crowdReport(since),
  async close() {
    await client?.close()
    await broker?.close()
  },
}

// A crowd: many clients, each with a socket of its own that it replaces when it was lost.
const crowd = []

async function many(count, options, subject, socketOptions) {
  for (let i = 0; i < count; i++) {
    const member = { client: connect({ noCache: true, ...options }), ready: [], lost: [], codes: [], got: 0 }
    crowd.push(member)
    member.client.on('inbox', () => member.ready.push(Date.now()))
    const open = () => {
      const socket = member.client.socket.connect(subject, socketOptions)
      member.socket = socket
      socket.on('data', () => {
        member.got += 1
      })
      socket.on('disconnected', () => member.lost.push(Date.now()))
      socket.on('ready', () => {
        member.socketReady = Date.now()
        socket.write({ n: 1 })
      })
      socket.once('closed', reason => {
        member.codes.push(reason?.code ?? 'none')
        if (!isEnding) open()
      })
    }
    open()
  }
  await Promise.all(crowd.map(member => member.socket.waitUntilReady()))
}

let isEnding = false

function crowdReport(since) {
  return {
    members: crowd.map(({ ready, codes, socket, socketReady, got }) => ({
      clientReady: ready.filter(at => at >= since).map(at => at - since),
      socketReady: socketReady >= since ? socketReady - since : undefined,
      state: socket.state,
      codes,
      got,
    })),
    broken,
  }
}

process.on('message', async ({ id, command, ...rest }) => {
  try {
    process.send({ id, value: (await commands[command](rest)) ?? null })
  } catch (error) {
    process.send({ id, error: `${command}: ${error.stack}` })
  }
})
process.once('disconnect', () => {
  isEnding = true
  process.exit(0)
})
process.send({ id: 0, value: 'up' })
