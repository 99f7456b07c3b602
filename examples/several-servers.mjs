// Two servers listen on one subject; each client is given to one of them and stays there. A load balancer of the
// client's own decides here; without it the first server to answer is taken.
import { once } from 'node:events'
import { connect, init } from 'selvedge'

const broker = init({ port: 0 })
await once(broker, 'ready')
const address = `http://127.0.0.1:${broker.address().port}`

const hosts = []
for (const id of ['red', 'blue']) {
  const client = connect({ address, noCache: true })
  const listener = client.socket.listen('work', { id })
  listener.on('connection', socket => socket.write(`served by ${id}`))
  await listener.waitUntilReady(5000)
  hosts.push(client)
}

const guest = connect({ address, noCache: true })
for (const choice of ['red', 'blue', 'red']) {
  const socket = guest.socket.connect('work', { loadBalancer: async () => choice })
  const [data] = await once(socket, 'data')
  console.log(data)
  socket.close()
}

guest.close()
for (const client of hosts) client.close()
broker.close()

// prints:
// served by red
// served by blue
// served by red
