// Sockety: a stream in each direction at once. The server sends back what it reads, in capitals, while the client still writes.
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { connect, createServer, Draft, ResponseDraft } from 'selvedge/sockety'

const echo = new ResponseDraft().stream().optimize()
const server = createServer(connection =>
  connection.on('message', async message => {
    if (!message.stream) return message.reject() // what a message has is up to the other end
    const response = message.respond(echo())
    const shout = new Transform({
      transform: (chunk, _, done) => done(null, chunk.toString().toUpperCase()),
    })
    // Back-pressure goes all the way: a client that reads nothing gets to write nothing more.
    await pipeline(message.stream, shout, response.stream)
  }),
)
await server.listen(0, '127.0.0.1')
const connection = await connect(server.address().port, '127.0.0.1').ready()

const request = connection.send(Draft.for('shout').stream()())
const response = await request.response()

const heard = response.stream[Symbol.asyncIterator]()
for (const line of ['one', 'two', 'three']) {
  request.stream.write(`${line}\n`)
  const { value } = await heard.next()
  console.log('heard:', value.toString().trim())
}
request.stream.end()
console.log('and then:', await heard.next())

await connection.close()
await server.close()

// prints:
// heard: ONE
// heard: TWO
// heard: THREE
// and then: { value: undefined, done: true }
