// A process of scripts/ends/main.mjs: a broker, a server, a member of a group of services, or clients. Its parent kills it.
import { openSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { Host } from './host.mjs'

const require = createRequire(import.meta.url)
const { connect, init } = require(fileURLToPath(new URL('../..', import.meta.url)))

const tell = (what, more) => {
  // Who is about to end may be late for something and say so: to say it to nobody would be an error, told again and again.
  if (process.connected) process.send({ what, at: Date.now(), ...more })
}
process.on('uncaughtException', error => tell('broken', { text: String(error.stack) }))
process.on('unhandledRejection', error => tell('broken', { text: String(error?.stack ?? error) }))

// What a busy machine has withheld from it: no fault of what is measured.
let looked = Date.now()
setInterval(() => {
  const late = Date.now() - looked - 50
  if (late > 200) tell('stalled', { ms: late })
  looked = Date.now()
}, 50).unref()

const roles = {
  async broker() {
    const broker = init({ port: 0, host: '127.0.0.1' })
    await broker.waitUntilReady()
    tell('ready', { port: broker.address().port })
  },

  /** Writes down what it handles before it is acknowledged: a kill cannot take that back. */
  async server({ address, log }) {
    const file = openSync(log, 'a')
    const client = connect({ address })
    const listener = client.socket.listen('work')
    listener.on('connection', socket => {
      tell('connection')
      socket.on('data', data => writeSync(file, `${data}\n`))
      socket.on('request', message => message.respondSync(message.data))
      socket.on('disconnected', reason => tell('away', { code: reason?.code }))
      socket.on('closed', reason => tell('closed', { code: reason?.code }))
    })
    await listener.waitUntilReady()
    tell('ready')
  },

  /** Servers that are drained: one when it is asked for, those that are left by a SIGTERM, which ends the process. */
  async drained({ address, name, count }) {
    const hosts = new Map(Array.from({ length: count }, (_, n) => [n, new Host(address, `${name}.${n}`)]))
    const drain = async n => {
      const host = hosts.get(n)
      hosts.delete(n)
      tell('drained', { n, handled: await host.drain() })
    }
    process.on('message', drain)
    process.on('SIGTERM', async () => {
      await Promise.all([...hosts.keys()].map(drain))
      process.disconnect()
    })
    await Promise.all([...hosts.values()].map(host => host.ready()))
    tell('ready')
  },

  async member({ address }) {
    const client = connect({ address })
    const wait = ms => new Promise(resolve => setTimeout(resolve, ms))
    await client.service('calls', {
      async add(a, b) {
        if ((a + b) % 7 === 0) await wait(3)
        return a + b
      },
    })
    process.once('SIGTERM', () => client.drain({ deadline: 5000, spread: 200 }))
    process.once('disconnect', () => process.exit())
    process.channel?.unref()
    tell('ready')
  },

  async callers({ address, count, calls }) {
    let left = calls
    const times = []
    const failures = []
    await Promise.all(
      Array.from({ length: count }, async () => {
        const client = connect({ address, noCache: true })
        const service = client.call('calls')
        while (left > 0) {
          const n = left--
          const begun = Date.now()
          try {
            const sum = await service.add(n, 1)
            if (sum !== n + 1 && failures.length < 20) failures.push(`a sum of ${sum}`)
          } catch (error) {
            failures.push(`${error.code} ${error.message}`)
          }
          times.push(Date.now() - begun)
        }
        await client.close()
      }),
    )
    tell('done', { failures: failures.length, some: failures.slice(0, 5), slowest: Math.max(...times) })
  },

  /** Sockets that say when their server goes, and when they have another one. */
  async guests({ address, count }) {
    for (let n = 0; n < count; n++) {
      const client = connect({ address, noCache: true })
      const socket = client.socket.connect('work', { renew: true })
      socket.on('disconnected', reason => tell('away', { n, code: reason?.code }))
      socket.on('renewed', () => tell('served', { n }))
      await socket.waitUntilReady()
    }
    tell('ready')
  },

  async writers({ address, name, count }) {
    const writers = Array.from({ length: count }, (_, n) => new Writer(address, `${name}-${n}`, n % 2 === 0))
    await Promise.all(writers.map(writer => writer.ready()))
    tell('ready')
    process.on('message', async message => {
      if (message !== 'stop') return
      await Promise.all(writers.map(writer => writer.stop()))
      tell('done', { writers: writers.map(writer => writer.report) })
    })
  },
}

/** Writes numbered messages, and knows of each whether it was handled or is told as left. By itself, or as the docs say. */
class Writer {
  #written = 0
  #told = new Set()
  #slowest = 0
  #slowestAsk = 0
  #asked = { ok: 0, failed: {} }
  #isStopped = false
  #work
  /** What became of its sockets, and when. */
  #events = []
  #slow = []

  constructor(address, name, renews) {
    this.name = name
    this.renews = renews
    this.client = connect({ address, noCache: true })
    this.socket = this.#connect()
  }

  async ready() {
    await this.socket.waitUntilReady()
    this.#work = Promise.all([this.#write(), this.#ask()])
  }

  #connect() {
    const socket = this.client.socket.connect('work', { renew: this.renews })
    for (const event of ['connecting', 'ready', 'disconnected', 'renewed', 'closed']) {
      socket.on(event, reason => this.#events.push([Date.now(), event, reason?.code ?? '']))
    }
    if (!this.renews) {
      socket.on('closed', reason => {
        if (reason === undefined) return
        this.socket = this.#connect()
        for (const message of socket.undelivered()) this.socket.write(message)
      })
    } else {
      socket.on('closed', () => {
        for (const { data } of socket.undelivered()) this.#told.add(data)
      })
    }
    return socket
  }

  async #write() {
    const open = new Set()
    while (!this.#isStopped) {
      const id = `${this.name}:${++this.#written}`
      const begun = Date.now()
      const { socket } = this
      const sent = socket.send(id).then(
        () => this.#note(begun),
        error => {
          // By hand: it is written again, by the `closed` above. Not accepted: it is told so.
          if (this.renews || error.code === 'EPIPE' || error.code === 'ENOBUFS') this.#told.add(id)
        },
      )
      open.add(sent)
      void sent.finally(() => open.delete(sent))
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    await Promise.all(open)
    await this.socket.drain()
  }

  async #ask() {
    while (!this.#isStopped) {
      const begun = Date.now()
      try {
        await this.socket.request(this.name)
        this.#asked.ok += 1
      } catch (error) {
        this.#asked.failed[error.code] = (this.#asked.failed[error.code] ?? 0) + 1
      }
      const time = Date.now() - begun
      if (time > Math.max(this.#slowest, this.#slowestAsk)) this.#slow = this.#since('request', begun)
      this.#slowestAsk = Math.max(this.#slowestAsk, time)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }

  #note(begun) {
    const time = Date.now() - begun
    if (time > Math.max(this.#slowest, this.#slowestAsk)) this.#slow = this.#since('send', begun)
    this.#slowest = Math.max(this.#slowest, time)
  }

  /** What has happened since then, in ms after it. */
  #since(what, begun) {
    const events = this.#events.filter(([at]) => at >= begun - 1000)
    const lines = events.map(([at, event, code]) => `${at - begun} ${event}${code && ` ${code}`}`)
    return [`${what} of ${this.name}`, ...lines, `${Date.now() - begun} done`]
  }

  async stop() {
    this.#isStopped = true
    await this.#work
    await this.client.close()
  }

  get report() {
    const { name, renews } = this
    const [written, told, asked] = [this.#written, [...this.#told], this.#asked]
    const [slowest, slowestAsk, slow] = [this.#slowest, this.#slowestAsk, this.#slow]
    return { name, renews, written, told, asked, slowest, slowestAsk, slow }
  }
}

const [role, options] = process.argv.slice(2)
await roles[role](JSON.parse(options))
