// Works with the log on.
import { connect, init } from 'selvedge'

const broker = init({ port: 0 })
await broker.waitUntilReady()
const client = connect({ address: `http://127.0.0.1:${broker.address().port}`, noCache: true })
client.socket.listen('echo').on('connection', socket => socket.on('data', data => socket.write(data)))
const socket = client.socket.connect('echo')
socket.write('echo')
for await (const [data] of socket) {
  process.stdout.write(data)
  break
}
await client.close()
await broker.close()
