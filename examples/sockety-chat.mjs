// Sockety: a chat. The server sends what one says to all others; whoever goes is missed.
import { once } from 'node:events'
import { connect, createServer, Draft, FastReply, MessageHandler } from 'selvedge/sockety'

const said = Draft.for('said').msgpack().optimize()
const names = new Map()

const server = createServer(connection => {
  const handler = new MessageHandler()
    .action('join', async message => {
      const name = await message.msgpack()
      if ([...names.values()].includes(name)) return FastReply.Reject
      names.set(connection, name)
      await tellOthers(`${name} is here`)
      return FastReply.Accept
    })
    .use(message => (names.has(connection) || message.responded ? undefined : FastReply.Unauthorized))
    .action('say', async message => {
      if (message.responded) return
      await tellOthers(`${names.get(connection)}: ${await message.msgpack()}`)
      return FastReply.Accept
    })
  connection.on('message', handler)
  connection.on('close', async () => {
    const name = names.get(connection)
    if (names.delete(connection)) await server.broadcast(said({ data: `${name} has gone` }))
  })
  const tellOthers = text =>
    server.broadcast(said({ data: text }), client => client !== connection && names.has(client))
})
await server.listen(0, '127.0.0.1')

async function enter(name) {
  const connection = await connect(server.address().port, '127.0.0.1').ready()
  const ask = async (action, data) => {
    const draft = Draft.for(action).msgpack()
    return FastReply[await connection.send(draft({ data })).response({ timeout: 5000 })]
  }
  /** Resolves with what is said next. */
  const heard = async () => {
    const [message] = await once(connection, 'message')
    return message.msgpack()
  }
  return { connection, ask, heard, joined: await ask('join', name) }
}

const ann = await enter('Ann')
console.log('Ann enters:', ann.joined)
let heard = ann.heard()
const bob = await enter('Bob')
console.log('Bob enters:', bob.joined, '– Ann hears:', await heard)

const impostor = await enter('Ann')
console.log('Another Ann enters:', impostor.joined)
console.log('She says something all the same:', await impostor.ask('say', 'I am Ann'))
await impostor.connection.close()

heard = ann.heard()
console.log('Bob says something:', await bob.ask('say', 'hello'), '– Ann hears:', await heard)
heard = ann.heard()
await bob.connection.close()
console.log('Bob goes – Ann hears:', await heard)

await ann.connection.close()
await server.close()

// prints:
// Ann enters: Accept
// Bob enters: Accept – Ann hears: Bob is here
// Another Ann enters: Reject
// She says something all the same: Unauthorized
// Bob says something: Accept – Ann hears: Bob: hello
// Bob goes – Ann hears: Bob has gone
