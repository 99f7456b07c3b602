// Loads the package anew, time after time, and prints how many copies are alive that nobody refers to.
const { join, sep } = require('node:path')

const ROOT = join(__dirname, '../../..')
const COPIES = 20

function again() {
  for (const [key, loaded] of Object.entries(require.cache)) {
    if (!key.startsWith(ROOT + sep) || key.endsWith('.node') || key === __filename) continue
    loaded.children.length = 0
    delete require.cache[key]
  }
  module.children.length = 0
  return require(ROOT)
}

const USES = {
  loaded: () => {},
  async used(copy) {
    const client = copy.connect({ noCache: true })
    client.socket.listen('echo').on('connection', socket => socket.on('data', data => socket.write(data)))
    const socket = client.socket.connect('echo')
    socket.write(1)
    for await (const _ of socket) break
    await client.close()
  },
}

async function main() {
  const alive = {}
  for (const [how, use] of Object.entries(USES)) {
    const copies = []
    for (let i = 0; i < COPIES; i++) {
      const copy = again()
      await use(copy)
      copies.push(new WeakRef(copy.connect))
    }
    for (let i = 0; i < 8; i++) {
      await new Promise(resolve => setTimeout(resolve, 20))
      global.gc()
    }
    // The last one is still in the cache of modules.
    alive[how] = copies.slice(0, -1).filter(copy => copy.deref() !== undefined).length
  }
  // One that has something open stays, also if nobody refers to it.
  let heard = 0
  const copy = again()
  const broker = copy.init({ port: null })
  broker
    .client()
    .subscribeSync('tick')
    .emitter.on('message', () => {
      heard += 1
    })
  const client = broker.client()
  await client.waitUntilReady()
  again()
  global.gc()
  await client.publish('tick', 1, { waitForInterest: true })
  alive.open = heard
  process.stdout.write(JSON.stringify(alive))
  process.exit()
}

void main()
