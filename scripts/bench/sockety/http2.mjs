// HTTP/2 as Node.js has it: a request for each operation, as in the reference's benchmark.
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { connect, createSecureServer, createServer } from 'node:http2'
import { certificate } from '../contenders/transports.mjs'

/** With its defaults it refuses so many streams and pings at once; MB. */
const bounds = { maxSessionMemory: 1000, maxOutstandingPings: 1000 }

export async function serve(secure) {
  const server = secure
    ? createSecureServer({ ...bounds, key: certificate('server.key'), cert: certificate('server') })
    : createServer(bounds)
  server.on('stream', (stream, { ':path': path }) => answers[path](stream))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server.address().port
}

const answers = {
  '/fast': stream => stream.respond({ ':status': 200 }, { endStream: true }),
  '/echo'(stream) {
    stream.respond({ ':status': 200 })
    stream.end('pong')
  },
  '/upload'(stream) {
    stream.on('end', () => stream.respond({ ':status': 200 }, { endStream: true }))
    stream.resume()
  },
}

export async function session(port, secure) {
  const client = secure
    ? connect(`https://127.0.0.1:${port}`, { ...bounds, ca: certificate('ca'), servername: 'localhost' })
    : connect(`http://127.0.0.1:${port}`, bounds)
  await once(client, 'connect')
  // Done at this event of the request.
  const ask = (path, event) => () =>
    new Promise((resolve, reject) => {
      const stream = client.request({ ':path': path })
      stream.once(event, resolve).once('error', reject)
      if (event !== 'data') stream.resume()
    })
  const upload = (size, event) => {
    const data = Buffer.alloc(size, 7)
    return () =>
      new Promise((resolve, reject) => {
        const stream = client.request({ ':path': '/upload', ':method': 'POST' })
        stream.once(event, resolve).once('error', reject).resume()
        stream.end(data)
      })
  }
  return {
    heartbeat: () => () =>
      new Promise((resolve, reject) => client.ping(error => (error ? reject(error) : resolve()))),
    none: () => ask('/fast', 'finish'),
    short: () => ask('/fast', 'response'),
    regular: () => ask('/echo', 'data'),
    data: size => upload(size, 'finish'),
    read: size => upload(size, 'response'),
  }
}
