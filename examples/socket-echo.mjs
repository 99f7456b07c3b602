// A socket: messages arrive once and in order, whatever the network does; `end` waits until all have arrived.
import { once } from 'node:events'
import { connect, init } from 'selvedge'

const server = init({ port: 0 })
await once(server, 'ready')
const address = `http://127.0.0.1:${server.address().port}`

const host = connect({ address, noCache: true })
const listener = host.socket.listen('echo')
listener.on('connection', socket => {
  socket.on('data', (data, headers) => {
    if (typeof data === 'string') socket.write(data.toUpperCase(), { headers }) // a client can write any value
  })
  socket.on('request', message => message.respond(`${message.data}, and you?`))
})

const guest = connect({ address, noCache: true })
const socket = guest.socket.connect('echo')
socket.write('written before the socket is ready', { headers: { n: 1 } })
socket.write('and in order', { headers: { n: 2 } })
const incoming = socket.iter()
for (let left = 2; left > 0; left--) {
  const [data, headers] = (await incoming.next()).value
  console.log(headers.n, data)
}
console.log((await socket.request('how are you')).data)

await socket.end()
guest.close()
host.close()
server.close()

// prints:
// 1 WRITTEN BEFORE THE SOCKET IS READY
// 2 AND IN ORDER
// how are you, and you?
