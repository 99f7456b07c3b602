// A program for Conat's sockets as its documentation has it; only the import is another one.
import { connect, init } from 'selvedge'

const conatServer = init({ port: 0 })
await conatServer.waitUntilReady()
const address = `http://localhost:${conatServer.address().port}`

// The server listens on a subject.
const cn1 = connect({ address, noCache: true })
const server = cn1.socket.listen('conat.io')
server.on('connection', socket => {
  console.log('connection')
  socket.on('data', (data, headers) => {
    console.log('server got', data, headers)
    if (typeof data === 'string') socket.write(`re:${data}`, headers) // a client can write any value
  })
  socket.on('request', mesg => {
    mesg.respondSync(`answer to ${mesg.data}`)
  })
})

// The client connects to it, and writes.
const cn2 = connect({ address, noCache: true })
const client = cn2.socket.connect('conat.io')
client.write('hi', { my: 'header' })
const [data, headers] = await new Promise(resolve => {
  client.on('data', (data, headers) => resolve([data, headers]))
})
console.log('client got', data, headers)
console.log('client asked and got', (await client.request('how are you?')).data)

client.close()
server.close()
cn1.close()
cn2.close()
conatServer.close()

// prints:
// connection
// server got hi { my: 'header' }
// client got re:hi { my: 'header' }
// client asked and got answer to how are you?
