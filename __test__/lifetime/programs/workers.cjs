// Workers over the process's own fabric: [share|terminate] [how many workers] [how many at a time] [port: over a broker's instead].
const { once } = require('node:events')
const { join } = require('node:path')
const { Worker } = require('node:worker_threads')
const { connect, init } = require('selvedge')

const [mode, count, atATime, port] = process.argv.slice(2)
const broker = port === undefined ? undefined : init({ port: 0 })
let address
let client
const spawn = data => new Worker(join(__dirname, 'worker.cjs'), { workerData: data })

async function share() {
  const subjects = Array.from({ length: Number(count) }, (_, i) => `worker.${i}`)
  const workers = subjects.map(subject => spawn({ job: 'echo', subject, address }))
  const exits = workers.map(worker => once(worker, 'exit'))
  await Promise.all(workers.map(worker => once(worker, 'message')))
  const answers = subjects.map(async subject => {
    const socket = client.socket.connect(subject)
    const seen = []
    const all = new Promise(resolve => {
      socket.on('data', data => {
        if (seen.push(data.echo) === 100) resolve()
      })
    })
    for (let i = 0; i < 100; i++) socket.write(i)
    await all
    socket.close()
    return seen.every((value, i) => value === i)
  })
  const inOrder = (await Promise.all(answers)).every(Boolean)
  // Their one socket is closed, and with it all that they had: each ends by itself.
  const codes = (await Promise.all(exits)).map(([code]) => code)
  console.log(JSON.stringify({ inOrder, codes }))
}

async function terminate() {
  const server = client.socket.listen('flood', { keepAlive: 200, keepAliveTimeout: 400 })
  let accepted = 0
  const gone = []
  server.on('connection', socket => {
    accepted += 1
    gone.push(once(socket, 'closed'))
    socket.on('data', data => {
      if (socket.tcp.send.unsent < 500) socket.write(data)
    })
  })
  await server.waitUntilReady()
  for (let done = 0; done < Number(count); done += Number(atATime)) {
    const workers = Array.from({ length: Number(atATime) }, () =>
      spawn({ job: 'flood', subject: 'flood', address }),
    )
    await Promise.all(workers.map(worker => once(worker, 'message')))
    await Promise.all(workers.map(worker => worker.terminate()))
  }
  await Promise.all(gone)
  // The fabric still works for those that are left.
  const other = connect({ address, noCache: true }).socket.connect('flood')
  other.write('still here')
  const [data] = await once(other, 'data')
  console.log(JSON.stringify({ accepted, left: Object.keys(server.sockets).length, data }))
  other.close()
  server.close()
}

async function main() {
  if (broker !== undefined) {
    await broker.waitUntilReady()
    address = `http://127.0.0.1:${broker.address().port}`
  }
  client = connect({ address })
  await (mode === 'share' ? share() : terminate())
  await client.close()
  await broker?.close()
}

main()
