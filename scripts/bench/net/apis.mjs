// The two APIs that are compared, each as `net`, `tls`, `dgram` and what is to be said for HTTP.

import nodeDgram from 'node:dgram'
import { once } from 'node:events'
import http from 'node:http'
import nodeNet from 'node:net'
import nodeTls from 'node:tls'
import { connect } from 'selvedge'
import { over as dgramOver } from 'selvedge/dgram'
import { over } from 'selvedge/net'
import { over as tlsOver } from 'selvedge/tls'

const host = '127.0.0.1'

/** Where a server is: what `connect` takes. */
const listen = async (server, ...args) => {
  await once(server.listen(...args), 'listening')
  return server.address()
}

export const apis = {
  node: () => ({
    net: nodeNet,
    tls: nodeTls,
    async listen(server) {
      const { port } = await listen(server, { port: 0, host, backlog: 4096 })
      return { port, host }
    },
    serveHttp(server) {
      return this.listen(server)
    },
    agent: (_place, options) => new http.Agent({ ...options, keepAlive: true }),
    async bind(onMessage) {
      const socket = nodeDgram.createSocket({ type: 'udp4', recvBufferSize: 1 << 20 }, onMessage)
      await once(socket.bind(0, host), 'listening')
      return { port: socket.address().port, host }
    },
    sender() {
      const socket = nodeDgram.createSocket('udp4')
      return (data, { port }, done) => socket.send(data, port, host, done)
    },
  }),

  async selvedge(address) {
    const client = connect({ address, noCache: true })
    await client.waitUntilReady({ timeout: 10_000 })
    const net = over(client)
    const dgram = dgramOver(client)
    return {
      net,
      tls: tlsOver(client),
      listen: server => listen(server, { backlog: 4096 }),
      async serveHttp(server) {
        const served = net.serve(`http.${process.pid}`, server)
        await once(served, 'listening')
        return served.address()
      },
      agent: ({ subject }, options) => net.agent({ ...options, keepAlive: true, subject }),
      async bind(onMessage) {
        const socket = dgram.createSocket('subject', onMessage)
        await once(socket.bind(`datagrams.${process.pid}`), 'listening')
        return { subject: socket.address().address }
      },
      sender() {
        const socket = dgram.createSocket('subject')
        return (data, { subject }, done) => socket.send(data, subject, done)
      },
    }
  },
}
