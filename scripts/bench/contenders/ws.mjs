// The package `ws`: a WebSocket message each, cumulative acknowledgements once for each turn of the event loop.
// Message: u8 kind, u32 number (of a question; of messages read), body.
import { once } from 'node:events'
import { WebSocket, WebSocketServer } from 'ws'
import { Credit } from './credit.mjs'
import { served } from './served.mjs'

const DATA = 0
const ACK = 1
const REQUEST = 2
const RESPONSE = 3
const options = { perMessageDeflate: false, maxPayload: 16e6 }

export async function serve({ window, accept, onRequest }) {
  const connections = new Set()
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, backlog: 4096, ...options })
  server.on('connection', raw => {
    const connection = new Connection(raw, window, accept(), onRequest)
    connections.add(connection)
    raw.on('close', () => connections.delete(connection))
  })
  await once(server, 'listening')
  return served(`ws://127.0.0.1:${server.address().port}`, connections)
}

export async function session({ address, window }) {
  return { open }

  async function open({ onData } = {}) {
    const raw = new WebSocket(address, options)
    const connection = new Connection(raw, window, onData)
    await once(raw, 'open')
    return connection
  }
}

class Connection {
  #raw
  #credit
  #window
  #onData
  #onRequest
  #read = 0
  #due = false
  #asked = 0
  #answers = new Map()

  constructor(raw, window, onData, onRequest) {
    this.#raw = raw
    this.#window = window
    this.#credit = new Credit(window)
    this.#onData = onData
    this.#onRequest = onRequest
    raw.on('message', message => this.#handle(message))
    raw.on('error', () => {})
  }

  send(data) {
    if (this.#credit.used()) return this.#credit.below(this.#window >> 1).then(() => this.send(data))
    this.#credit.sent++
    this.#raw.send(pack(DATA, 0, data))
  }

  drained() {
    return this.#credit.below(0)
  }

  request(data) {
    const id = this.#asked++
    this.#raw.send(pack(REQUEST, id, data))
    return new Promise(resolve => this.#answers.set(id, resolve))
  }

  #handle(message) {
    const kind = message[0]
    const number = message.readUInt32LE(1)
    const body = message.subarray(5)
    if (kind === DATA) {
      this.#onData(body)
      this.#acknowledge()
    } else if (kind === ACK) this.#credit.acknowledge(number)
    else if (kind === REQUEST) this.#raw.send(pack(RESPONSE, number, this.#onRequest(body)))
    else {
      this.#answers.get(number)(body)
      this.#answers.delete(number)
    }
  }

  #acknowledge() {
    this.#read++
    if (this.#due) return
    this.#due = true
    setImmediate(() => {
      this.#due = false
      this.#raw.send(pack(ACK, this.#read, nothing))
    })
  }
}

const nothing = Buffer.alloc(0)

function pack(kind, number, body) {
  const message = Buffer.allocUnsafe(5 + body.length)
  message[0] = kind
  message.writeUInt32LE(number, 1)
  body.copy(message, 5)
  return message
}
