// Replaces everything that a fake clock replaces, before or after it loads the package, and uses a bit of it all.
const { join } = require('node:path')
const timers = require('node:timers')
const realTimeout = setTimeout
const never = { ref: () => never, unref: () => never, hasRef: () => false, refresh: () => never }

/** What the fakes would call, if their clock were moved. */
const due = []

function fake(callback) {
  due.push(callback)
  return never
}

function installFakes() {
  for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask']) {
    globalThis[name] = fake
    if (name in timers) timers[name] = fake
  }
  for (const name of ['clearTimeout', 'clearInterval', 'clearImmediate']) globalThis[name] = () => {}
  process.nextTick = fake
  const frozen = Date.now()
  Date.now = () => frozen
  performance.now = () => 0
  process.hrtime = Object.assign(() => [0, 0], { bigint: () => 0n })
}

const isFirst = process.argv[2] !== 'after'
if (isFirst) installFakes()
const { connect } = require(join(__dirname, '../../..'))
if (process.argv[2] === 'before, and moved once') for (const callback of due.splice(0)) callback()
if (!isFirst) installFakes()

const done = []
realTimeout(() => {
  process.stdout.write(`hangs after ${done}`)
  process.exit(1)
}, 30_000).unref()

async function main() {
  const client = connect({ noCache: true })
  await client.waitUntilReady()
  done.push('ready')
  client.subscribeSync('q').emitter.on('message', message => message.respondSync(message.data))
  done.push((await client.request('q', 'answer', { waitForInterest: true })).data)
  client.socket.listen('s').on('connection', socket => socket.on('data', data => socket.write(data)))
  const socket = client.socket.connect('s')
  socket.write('echo')
  for await (const [data] of socket) {
    done.push(data)
    break
  }
  await socket.end()
  await client.close()
  process.stdout.write(done.join())
}

void main()
