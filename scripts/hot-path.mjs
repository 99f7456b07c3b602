// What JavaScript does for a message over a socket: how often functions of the package are called, as V8 counts them. For a
// listener that uses nothing else, and for those with middleware and with rooms, which must cost a message nothing.
// `npm run hot-path`. Calls, not time: the clock of a busy machine lies. __test__/rooms/hot-path.spec.ts compares them.
import { Session } from 'node:inspector/promises'

const session = new Session()
session.connect()
await session.post('Profiler.enable')
// Before the package is loaded: what V8 has compiled without counters it does not count.
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
const { connect, init } = await import('selvedge')

const [FEW, MANY, BATCH] = [1000, 5000, 50]

/** What is done to a listener before it is connected to. */
const kinds = {
  'nothing else': () => {},
  middleware: listener => {
    listener.use(socket => {
      socket.data.seen = true
    })
    listener.use((_socket, next) => next())
  },
  'a room': listener => {
    listener.room('all').on('join', () => {})
    listener.on('connection', socket => socket.join('all', { key: 'one', data: { n: 1 } }))
  },
}

const broker = init({ port: 0 })
await broker.waitUntilReady()
const counts = {}
for (const [kind, prepare] of Object.entries(kinds)) counts[kind] = await callsOfAMessage(kind, prepare)
await broker.close()
session.disconnect()
console.log(JSON.stringify(counts))

/** Calls for a message that is written, handled, written back and handled: what comes before and after it falls out. */
async function callsOfAMessage(kind, prepare) {
  const clients = ['server', 'client'].map(() =>
    connect({ address: String(broker.address()), noCache: true }),
  )
  const listener = clients[0].socket.listen(`echo.${Object.keys(kinds).indexOf(kind)}`)
  prepare(listener)
  listener.on('connection', socket => socket.on('data', data => socket.write(data)))
  const socket = clients[1].socket.connect(listener.subject)
  let handled = 0
  let all = () => {}
  socket.on('data', () => {
    handled += 1
    if (handled % BATCH === 0) all()
  })
  await socket.waitUntilReady()
  const write = async messages => {
    for (let n = 0; n < messages; n += BATCH) {
      const come = new Promise(resolve => {
        all = resolve
      })
      for (let m = 0; m < BATCH; m++) socket.write(m)
      await come
    }
    return calls()
  }
  await write(FEW)
  const [few, many] = [await write(FEW), await write(MANY)]
  await Promise.all(clients.map(client => client.close()))
  return (many - few) / (MANY - FEW)
}

/** Calls of functions of the package since the last time. */
async function calls() {
  const { result } = await session.post('Profiler.takePreciseCoverage')
  const own = result.filter(({ url }) => url.includes('/dist/'))
  return own.reduce((sum, { functions }) => {
    return functions.reduce((more, { ranges }) => more + ranges[0].count, sum)
  }, 0)
}
