// Requests and answers: by hand, as a typed service, and when nobody is there to answer.
import { connect } from 'selvedge'

const client = connect()

const questions = await client.subscribe('math.square')
const answering = (async () => {
  for await (const message of questions) message.respondSync(message.data ** 2)
})()
const reply = await client.request('math.square', 12)
console.log('12 squared is', reply.data)

const service = await client.service('math', {
  add: async (a, b) => a + b,
})
console.log('2 + 3 is', await client.call('math').add(2, 3))

try {
  await client.request('math.cube', 3)
} catch (err) {
  console.log('nobody listens:', err.code)
}

service.close()
questions.close()
await answering
client.close()

// prints:
// 12 squared is 144
// 2 + 3 is 5
// nobody listens: 503
