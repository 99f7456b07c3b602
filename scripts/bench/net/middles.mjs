// What stands between a client and a server. Each takes the places of the servers, and returns where clients find them now.
import dgram from 'node:dgram'
import { once } from 'node:events'
import net from 'node:net'
import { connect } from 'selvedge'
import { over } from 'selvedge/net'

const host = '127.0.0.1'

export const middles = {
  /** A proxy as one writes it in plain Node.js, for TCP, and a relay for UDP. */
  proxy: ({ places }) =>
    mapped(places, async (name, place) =>
      name === 'datagrams' ? { host, port: await relay(place) } : { host, port: await proxy(place) },
    ),

  async expose({ places, address }) {
    const { expose } = await joined(address)
    return await mapped(places, async (name, place) => {
      if (name === 'datagrams') return place
      const server = expose(`bench.${name}`, place)
      await once(server, 'listening')
      return server.address()
    })
  },

  async forward({ places, address }) {
    const { forward } = await joined(address)
    return await mapped(places, async (name, place) => {
      if (name === 'datagrams') return place
      const server = forward(place.subject, { port: 0 })
      await once(server, 'listening')
      return { host, port: server.address().port }
    })
  },
}

async function mapped(places, change) {
  const entries = Object.entries(places).map(async ([name, place]) => [name, await change(name, place)])
  return { places: Object.fromEntries(await Promise.all(entries)) }
}

async function joined(address) {
  const client = connect({ address, noCache: true })
  await client.waitUntilReady({ timeout: 10_000 })
  return over(client)
}

async function proxy(target) {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, near => {
    const far = net.connect({ ...target, allowHalfOpen: true, noDelay: true })
    near.on('error', () => far.destroy()).pipe(far)
    far.on('error', () => near.destroy()).pipe(near)
  })
  await once(server.listen({ port: 0, host, backlog: 4096 }), 'listening')
  return server.address().port
}

async function relay({ port }) {
  const out = dgram.createSocket('udp4')
  const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 1 << 20 }, data =>
    out.send(data, port, host),
  )
  await once(socket.bind(0, host), 'listening')
  return socket.address().port
}
