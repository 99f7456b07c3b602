// The servers of a measurement, by the names under which clients find them. What a stream brings is checked.
import http from 'node:http'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { sleep } from '../clock.mjs'
import { certificate } from '../contenders/transports.mjs'
import { Pattern } from './pattern.mjs'

const halves = { allowHalfOpen: true }
const rest = 4 << 20 // bytes that a slow reader reads before it rests
const body = Buffer.alloc(100, 'b')

export async function serve(api) {
  const { net, tls } = api
  const counters = { datagrams: 0 }
  const sink = net.createServer(halves, answered(count))
  const secure = tls.createServer(
    { ...halves, key: certificate('server.key'), cert: certificate('server') },
    answered(count),
  )
  const slow = net.createServer(halves, answered(slowly))
  const echo = net.createServer(socket => {
    socket.setNoDelay(true)
    socket.on('error', () => {}).pipe(socket)
  })
  const closing = net.createServer(socket => socket.on('error', () => {}).resume())
  const web = http.createServer((_request, response) => response.end(body))
  web.keepAliveTimeout = 60_000
  const counter = net.createServer(socket => socket.end(JSON.stringify(counters)))
  return {
    sink: await api.listen(sink),
    secure: await api.listen(secure),
    slow: await api.listen(slow),
    echo: await api.listen(echo),
    closing: await api.listen(closing),
    counter: await api.listen(counter),
    http: await api.serveHttp(web),
    datagrams: await api.bind(() => void counters.datagrams++),
  }
}

/** Reads to the end, says how many bytes came, and ends. */
function answered(read) {
  return async socket => {
    socket.on('error', () => {})
    const pattern = new Pattern()
    await read(socket, pattern)
    socket.end(pattern.isDamaged ? 'damaged' : String(pattern.count))
  }
}

const count = (socket, pattern) =>
  new Promise(resolve => socket.on('data', chunk => pattern.check(chunk)).on('end', resolve))

async function slowly(socket, pattern) {
  let rested = 0
  const sink = new Writable({
    async write(chunk, _encoding, done) {
      pattern.check(chunk)
      if (pattern.count - rested >= rest) {
        rested = pattern.count
        await sleep(10)
      }
      done()
    },
  })
  // The socket stays, to answer.
  await pipeline(socket.iterator({ destroyOnReturn: false }), sink)
}
