// Requests: one answer, many answers, and when nobody is there to answer.
import { connect } from 'selvedge'

const client = connect()

const questions = await client.subscribe('math.square')
const answering = (async () => {
  for await (const message of questions) message.respondSync(message.data ** 2)
})()
const reply = await client.request('math.square', 12)
console.log('12 squared is', reply.data)

const everyone = client.requestMany('math.square', 5, { maxMessages: 1 })
for await (const answer of everyone) console.log('5 squared is', answer.data)

try {
  await client.request('math.cube', 3)
} catch (err) {
  console.log('nobody listens:', err.code)
}

questions.close()
await answering
client.close()

// prints:
// 12 squared is 144
// 5 squared is 25
// nobody listens: 503
