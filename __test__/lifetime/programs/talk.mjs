// Connects, talks and closes, in the way that its arguments say: [address|-] [what is closed: all|sockets|unref].
import { connect } from 'selvedge'

const [address, closing] = process.argv.slice(2)
const client = connect(address === '-' ? {} : { address })
const server = client.socket.listen(`talk.${process.pid}`)
server.on('connection', accepted => {
  accepted.on('data', data => accepted.write(data))
  // As with Node's servers, each accepted socket is a reason of its own to stay.
  if (closing === 'unref') accepted.unref()
})
const socket = client.socket.connect(`talk.${process.pid}`)
socket.write('hello')
const [data] = await new Promise(resolve => socket.once('data', (...args) => resolve(args)))
const subscription = await client.subscribe(`ask.${process.pid}`)
subscription.emitter.on('message', message => message.respondSync(message.data))
const answer = await client.request(`ask.${process.pid}`, 'again')
console.log(data, answer.data)
if (closing === 'unref') {
  for (const object of [server, socket, subscription, client]) object.unref()
} else {
  socket.close()
  server.close()
  subscription.close()
  if (closing === 'all') await client.close()
}
