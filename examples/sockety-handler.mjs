// Sockety: a server with a handler, and a client that asks it things.
import {
  connect,
  createServer,
  Draft,
  FastReply,
  getResponseDescription,
  MessageHandler,
  ResponseDraft,
} from 'selvedge/sockety'

const sum = new ResponseDraft().msgpack().optimize()
const handler = new MessageHandler()
  .action('ping', () => FastReply.Accept)
  .action('add', async message => {
    const numbers = await message.msgpack()
    if (!Array.isArray(numbers)) return FastReply.BadRequest
    message.respond(sum({ data: numbers.reduce((a, b) => a + b, 0) }))
  })
  .action('fail', () => {
    throw new Error('a bug')
  })
  // Runs if a step before has failed; what is thrown never gets to the other end.
  .error((_, error) => {
    console.log('the server saw:', error.message)
    return FastReply.InternalError
  })
  // Runs for all; the number is an answer only where there was none.
  .use(message => (message.responded ? undefined : FastReply.NotImplemented))

const server = createServer(connection => connection.on('message', handler))
await server.listen(0, '127.0.0.1')
const connection = await connect(server.address().port, '127.0.0.1').ready()

const ping = Draft.for('ping').optimize()
const add = Draft.for('add').msgpack().optimize()
const ask = async producer => getResponseDescription(await connection.send(producer).response())

console.log('ping:', await ask(ping()))
const response = await connection.send(add({ data: [1, 2, 39] })).response()
console.log('add:', await response.msgpack())
console.log('add nothing:', await ask(add({ data: 'one and two' })))
console.log('fail:', await ask(Draft.for('fail')()))
console.log('dance:', await ask(Draft.for('dance')()))

await connection.close()
await server.close()

// prints:
// ping: Accepted
// add: 42
// add nothing: Bad Request
// the server saw: a bug
// fail: Internal Error
// dance: Not Implemented
