// Requests: one answer, many answers, and when nobody is there to answer.
import { connect } from 'selvedge'

const client = connect()

/** Anyone can send any value, or bytes that are none. */
function square(value) {
  if (typeof value !== 'number') throw TypeError('not a number')
  return value ** 2
}

const questions = await client.subscribe('math.square')
const answering = (async () => {
  for await (const message of questions) {
    if (!message.isRequest()) continue
    try {
      message.respondSync(square(message.data))
    } catch (err) {
      message.respondSync(err) // the request rejects with it
    }
  }
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
