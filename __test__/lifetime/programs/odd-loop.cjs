// An event loop that the application, or a lack of memory, has tampered with: [fake|throw] [how many messages].
const timers = require('node:timers')
const { connect } = require('selvedge')

const [mode, count] = process.argv.slice(2)

async function main() {
  const client = connect({ noCache: true })
  const messages = await client.subscribe('odd-loop')
  // As test frameworks do.
  if (mode === 'fake') globalThis.setImmediate = timers.setImmediate = () => {}
  else {
    const { native } = require('../../../dist/engine/native')
    const { drain } = native
    native.drain = () => {
      native.drain = drain
      throw Error('no memory, once')
    }
    process.once('uncaughtException', error => console.log(error.message))
  }
  for (let n = 1; n <= Number(count); n++) client.publishSync('odd-loop', n)
  let last = 0
  for await (const message of messages) {
    if (message.data !== last + 1) throw Error(`${message.data} after ${last}`)
    last = message.data
    if (last === Number(count)) break
  }
  console.log(last)
  await client.close()
}

main()
