// A server whose clients go at the worst moment, and that nowhere looks at errors: [case].
import { once } from 'node:events'
import { connect, createServer, Draft } from 'selvedge/sockety'

const [name] = process.argv.slice(2)
const big = Draft.for('big').data(Buffer.alloc(3_000_000))()
const gone = connection => new Promise(resolve => connection.once('close', resolve))
/** What the server does with a connection. */
const cases = {
  'passes, and does not wait': connection => {
    for (let n = 0; n < 20; n++) connection.pass(big)
  },
  'broadcasts, and does not wait': () => {
    for (let n = 0; n < 20; n++) server.broadcast(big)
  },
  'answers too late': connection =>
    connection.on('message', async message => {
      await gone(connection)
      message.respond({})
    }),
  'accepts too late': connection =>
    connection.on('message', async message => {
      await gone(connection)
      await message.accept()
    }),
  'reads what does not come': connection =>
    connection.on('message', async message => {
      for await (const _ of message.stream);
    }),
  'pipes, and listens to nothing': connection =>
    connection.on('message', message => {
      const response = message.respond({}, true)
      message.stream.pipe(response.stream)
      response.stream.write(Buffer.alloc(3_000_000))
    }),
  'answers behind its own close': connection =>
    connection.on('message', message => {
      message.respond({})
      connection.close()
    }),
  'sends in a listener for connections, too late': async connection => {
    await gone(connection)
    connection.pass(big)
  },
  // These are no departures of the connection that the listener is for.
  'has a bug': connection =>
    connection.on('message', async () => {
      await gone(connection)
      throw new TypeError('a bug')
    }),
  'asks somebody else, who is gone': connection =>
    connection.on('message', async () => {
      const other = await connect(server.address().port, '127.0.0.1').ready()
      await other.close()
      other.send(big)
    }),
}

let clients = 0
const server = createServer(connection => (clients++ === 0 ? cases[name](connection) : undefined))
await server.listen(0, '127.0.0.1')
const accepted = once(server, 'connection')
const client = await connect(server.address().port, '127.0.0.1').ready()
const [far] = await accepted
const closed = gone(far)
const ask = Draft.for('ask').stream()()
const requests = [1, 2, 3].map(() => client.send(ask))
// So much has come, and the rest never will.
requests[0].stream.write('x')
await requests[2].sent()
if (name !== 'answers behind its own close') await client.close(true)
await closed
await server.close()
// What a listener has done meanwhile may fail only now.
await new Promise(resolve => setTimeout(resolve, 50))
console.log('still here')
