// A TCP server that knows nothing of the fabric, on a subject (`expose`), and that subject on a port elsewhere (`forward`).
import { once } from 'node:events'
import tcp from 'node:net'
import { init } from 'selvedge'
import { over } from 'selvedge/net'

const broker = init({ port: null })
// A stream that is reset, and has no listener of `error`, would end the process.
const database = tcp.createServer(socket => socket.on('error', console.error).pipe(socket))
await once(database.listen(0, '127.0.0.1'), 'listening')

// Beside the database, and beside its client.
const [there, here] = [broker.client(), broker.client()]
const exposed = over(there).expose('db.main', { port: database.address().port })
await once(exposed, 'listening')
const door = over(here).forward('db.main', { port: 0 })
await once(door, 'listening')

const client = tcp.connect(door.address().port, '127.0.0.1')
client.end('through the fabric')
console.log((await client.toArray()).join(''))

door.close()
exposed.close()
database.close()
await Promise.all([there.close(), here.close()])
await broker.close()

// prints:
// through the fabric
