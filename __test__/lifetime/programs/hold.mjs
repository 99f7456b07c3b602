// Leaves one thing open and nothing else: [address|-] [socket|listener|subscription|request|broker] [subject].
// Ends when the message that its parent sends later has come.
import { connect, init } from 'selvedge'

const [address, what, subject] = process.argv.slice(2)

if (what === 'broker') {
  const broker = init({ port: 0 })
  broker.once('ready', () => console.log(`open ${broker.address().port}`))
  const watch = broker.client().socket.listen(subject).unref()
  watch.once('connection', socket => {
    socket.unref()
    socket.once('data', data => {
      console.log('got', data)
      broker.close()
    })
  })
} else {
  const client = connect({ address })
  const finish = (data, object) => {
    console.log('got', data)
    object?.close()
  }
  if (what === 'socket') {
    const socket = client.socket.connect(subject)
    socket.once('ready', () => console.log('open'))
    socket.once('data', data => finish(data, socket))
  } else if (what === 'listener') {
    const server = client.socket.listen(subject)
    server.once('ready', () => console.log('open'))
    server.once('connection', socket => socket.once('data', data => finish(data, server)))
  } else if (what === 'subscription') {
    const subscription = client.subscribeSync(subject)
    await client.waitUntilReady()
    subscription.emitter.once('message', message => finish(message.data, subscription))
    console.log('open')
  } else if (what === 'request') {
    await client.waitUntilReady()
    client.request(subject, 'when?').then(answer => finish(answer.data))
    console.log('open')
  }
}
