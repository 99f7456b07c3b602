// Services: methods that are called over the fabric.
import { connect } from 'selvedge'

const client = connect()

const service = await client.service('accounts.*', {
  // `this` is the message.
  greet(greeting) {
    return `${greeting}, ${this.subject.split('.')[1]}`
  },
  fail() {
    throw Object.assign(new Error('not today'), { code: 'ECLOSED' })
  },
})

const ann = client.call('accounts.ann')
console.log(await ann.greet('hello'))
for (const name of ['fail', 'dance']) {
  try {
    await ann[name]()
  } catch (err) {
    console.log(`${name}: ${err.code}, ${err.message}`)
  }
}

service.close()
await client.close()

// prints:
// hello, ann
// fail: ECLOSED, not today
// dance: ERR_NOT_DEFINED, dance not defined
