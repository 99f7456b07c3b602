// One publisher, two subscribers, one of them by a pattern. `*` is one token, `>` is all the rest.
import { once } from 'node:events'
import { connect, init } from 'selvedge'

const server = init({ port: 0 })
await once(server, 'ready')
const address = `http://127.0.0.1:${server.address().port}`
const publisher = connect({ address, noCache: true })
const subscriber = connect({ address, noCache: true })

const roof = await subscriber.subscribe('sensors.roof.temperature')
const all = await subscriber.subscribe('sensors.>')

const { count } = await publisher.publish('sensors.roof.temperature', 21.5, { headers: { unit: 'C' } })
console.log('subscriptions reached:', count)

for await (const message of roof) {
  console.log('roof:', message.data, message.headers.unit)
  break // closes the subscription
}
for await (const message of all) {
  console.log('all:', message.subject, message.data)
  break
}

publisher.close()
subscriber.close()
server.close()

// prints:
// subscriptions reached: 2
// roof: 21.5 C
// all: sensors.roof.temperature 21.5
