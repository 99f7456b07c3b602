// The yardstick: a bare TCP connection with a length prefix, cumulative acknowledgements and gathered writes. What
// JavaScript can do when it needs no broker, no names and no reconnection.
// Frame: u32 length of the rest, u8 kind, body. Data is counted, not numbered; ACK holds the count that was read;
// REQUEST and RESPONSE begin with a u32 number.
import { once } from 'node:events'
import net from 'node:net'
import { Credit } from './credit.mjs'
import { served } from './served.mjs'

const DATA = 0
const ACK = 1
const REQUEST = 2
const RESPONSE = 3
const gather = 64 * 1024
const small = 8 * 1024
const nothing = Buffer.alloc(0)

export async function serve({ window, accept, onRequest }) {
  const connections = new Set()
  const server = net.createServer(raw => {
    const connection = new Connection(raw, window, accept(), onRequest)
    connections.add(connection)
    raw.on('close', () => connections.delete(connection))
  })
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 })
  await once(server, 'listening')
  return served(server.address().port, connections)
}

export async function session({ address, window }) {
  return { open }

  async function open({ onData } = {}) {
    const raw = net.connect(address, '127.0.0.1')
    const connection = new Connection(raw, window, onData)
    await once(raw, 'connect')
    return connection
  }
}

class Connection {
  #raw
  #window
  #credit
  #onData
  #onRequest
  #out = Buffer.allocUnsafe(gather)
  #used = 0
  #scheduled = false
  #parts = []
  #have = 0
  #need = 4
  #read = 0
  #reported = 0
  #asked = 0
  #answers = new Map()

  constructor(raw, window, onData, onRequest) {
    this.#raw = raw
    this.#window = window
    this.#credit = new Credit(window)
    this.#onData = onData
    this.#onRequest = onRequest
    raw.setNoDelay(true)
    raw.on('data', chunk => this.#take(chunk))
    raw.on('error', () => {})
  }

  send(data) {
    if (this.#credit.used()) return this.#credit.below(this.#window >> 1).then(() => this.send(data))
    this.#credit.sent++
    this.#frame(DATA, undefined, data)
  }

  drained() {
    return this.#credit.below(0)
  }

  request(data) {
    const id = this.#asked++
    this.#frame(REQUEST, id, data)
    return new Promise(resolve => this.#answers.set(id, resolve))
  }

  #frame(kind, number, body) {
    const head = number === undefined ? 5 : 9
    const copied = body.length <= small ? body.length : 0
    if (this.#used + head + copied > gather) this.#flush()
    this.#out.writeUInt32LE(head - 4 + body.length, this.#used)
    this.#out[this.#used + 4] = kind
    if (number !== undefined) this.#out.writeUInt32LE(number, this.#used + 5)
    if (copied > 0) body.copy(this.#out, this.#used + head)
    this.#used += head + copied
    if (copied < body.length) {
      this.#flush()
      this.#raw.write(body)
    } else if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(() => this.#flush())
    }
  }

  #flush() {
    this.#scheduled = false
    if (this.#used === 0) return
    this.#raw.write(this.#out.subarray(0, this.#used))
    this.#out = Buffer.allocUnsafe(gather)
    this.#used = 0
  }

  #take(chunk) {
    this.#parts.push(chunk)
    this.#have += chunk.length
    if (this.#have < this.#need) return
    const bytes = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts, this.#have)
    let at = 0
    this.#need = 4
    while (bytes.length - at >= 4) {
      const end = at + 4 + bytes.readUInt32LE(at)
      if (end > bytes.length) {
        this.#need = end - at
        break
      }
      this.#handle(bytes[at + 4], bytes.subarray(at + 5, end))
      at = end
    }
    this.#parts = at < bytes.length ? [bytes.subarray(at)] : []
    this.#have = bytes.length - at
    if (this.#read === this.#reported) return
    this.#reported = this.#read
    this.#frame(ACK, this.#read, nothing)
  }

  #handle(kind, body) {
    if (kind === DATA) {
      this.#read++
      this.#onData(body)
    } else if (kind === ACK) this.#credit.acknowledge(body.readUInt32LE(0))
    else if (kind === REQUEST) this.#frame(RESPONSE, body.readUInt32LE(0), this.#onRequest(body.subarray(4)))
    else {
      const id = body.readUInt32LE(0)
      this.#answers.get(id)(body.subarray(4))
      this.#answers.delete(id)
    }
  }
}
