// Bare TCP or TLS of Node.js: bytes without a protocol, read and dropped. What no protocol of JavaScript can be faster than.
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { certificate } from '../contenders/transports.mjs'

export async function serve(secure) {
  const server = secure
    ? tls.createServer({ key: certificate('server.key'), cert: certificate('server') })
    : net.createServer()
  server.on(secure ? 'secureConnection' : 'connection', socket => socket.resume())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server.address().port
}

export async function session(port, secure) {
  const where = { port, host: '127.0.0.1' }
  const socket = secure
    ? tls.connect({ ...where, ca: certificate('ca'), servername: 'localhost' })
    : net.connect(where)
  await once(socket, secure ? 'secureConnect' : 'connect')
  return {
    data(size) {
      const data = Buffer.alloc(size, 7)
      return () =>
        new Promise((resolve, reject) => socket.write(data, error => (error ? reject(error) : resolve())))
    },
  }
}
