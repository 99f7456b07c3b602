// The receiving process: `server.mjs ADDRESS`. Counts what arrives by its own index and hashes it.
import { createHash } from 'node:crypto'
import { connect } from 'selvedge'
import { Tally } from './tally.mjs'

const reportEvery = 20 // ms

process.on('disconnect', () => process.exit(1))

const hash = createHash('sha256')
const file = new Tally()
const small = new Tally()
let bytes = 0
let announced
let reported = 0

const client = connect({ address: process.argv[2] })
const listener = client.socket.listen('demo.upload')
listener.on('connection', socket => {
  socket.on('data', (data, headers) => {
    if (headers.n !== undefined) small.add(headers.n, data === `message ${headers.n}`)
    else if (headers.end) announced = headers.sha256
    else {
      file.add(headers.index, headers.offset === bytes)
      hash.update(data)
      bytes += data.length
    }
    progress()
  })
})
await listener.waitUntilReady(10_000)
process.send({ ready: true })

process.on('message', () => {
  process.send({ result: { bytes, announced, sha256: hash.digest('hex'), file, small } })
})

function progress() {
  const now = performance.now()
  if (now - reported < reportEvery) return
  reported = now
  process.send({ progress: { bytes, small: small.seen } })
}
