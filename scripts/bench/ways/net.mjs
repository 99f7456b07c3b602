// The yardstick: a bare TCP connection with a length prefix, cumulative acknowledgements and gathered writes. What
// JavaScript can do when it needs no broker, no names and no reconnection.
// Frame: u32 length of the rest, u8 kind, body. Data is counted, not numbered; ACK holds the count that was read.
import { once } from 'node:events'
import net from 'node:net'

const DATA = 0
const ACK = 1
const REQUEST = 2
const RESPONSE = 3
const gather = 64 * 1024
const small = 8 * 1024

export const needsBroker = false

export async function serve({ window, onData, onRequest }) {
  const server = net.createServer(raw => new Connection(raw, { window, onData, onRequest }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { address: server.address().port }
}

export async function session({ address, window }) {
  const raw = net.connect(address, '127.0.0.1')
  await once(raw, 'connect')
  return new Connection(raw, { window })
}

class Connection {
  #raw
  #out = Buffer.allocUnsafe(gather)
  #used = 0
  #scheduled = false
  #parts = []
  #have = 0
  #need = 4
  #sent = 0
  #acked = 0
  #read = 0
  #reported = 0
  #waiting = []
  #answer

  constructor(raw, options) {
    this.#raw = raw
    this.options = options
    raw.setNoDelay(true)
    raw.on('data', chunk => this.#take(chunk))
    raw.on('error', () => {})
  }

  send(data) {
    if (this.#sent - this.#acked >= this.options.window) {
      return new Promise(resolve => this.#waiting.push(resolve)).then(() => this.send(data))
    }
    this.#sent++
    this.#frame(DATA, data)
  }

  /** One at a time. */
  request(data) {
    this.#frame(REQUEST, data)
    return new Promise(resolve => {
      this.#answer = resolve
    })
  }

  #frame(kind, body) {
    const copied = body.length <= small ? body.length : 0
    if (this.#used + 5 + copied > gather) this.#flush()
    this.#out.writeUInt32LE(1 + body.length, this.#used)
    this.#out[this.#used + 4] = kind
    if (copied > 0) body.copy(this.#out, this.#used + 5)
    this.#used += 5 + copied
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
    const ack = Buffer.allocUnsafe(4)
    ack.writeUInt32LE(this.#read)
    this.#frame(ACK, ack)
  }

  #handle(kind, body) {
    if (kind === DATA) {
      this.#read++
      this.options.onData(body)
    } else if (kind === ACK) {
      this.#acked = body.readUInt32LE(0)
      // As a socket's `drain`: everything was handled.
      if (this.#acked < this.#sent) return
      for (const resolve of this.#waiting.splice(0)) resolve()
    } else if (kind === REQUEST) this.#frame(RESPONSE, this.options.onRequest(body))
    else this.#answer(body)
  }
}
