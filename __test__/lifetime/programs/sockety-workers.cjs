// Workers that are terminated while Sockety has small and large messages under way in both directions: [how many] [at a time].
const { once } = require('node:events')
const { isMainThread, parentPort, Worker, workerData } = require('node:worker_threads')
const { connect, createServer, Draft, ResponseDraft } = require('selvedge/sockety')

async function work() {
  const connection = await connect(workerData.port, '127.0.0.1').ready()
  const producers = [
    Draft.for('small')(),
    Draft.for('big').data(Buffer.alloc(300_000, 1))(),
    Draft.for('given').data()({ data: Buffer.alloc(50_000, 2) }),
  ]
  const kept = []
  let answers = 0
  const ask = async producer => {
    for (;;) {
      const response = await connection.send(producer).response()
      kept.push(await response.dataBuffer())
      answers += 1
      if (answers === 100) parentPort.postMessage('busy')
    }
  }
  await Promise.all([...producers, ...producers].map(ask))
}

async function main() {
  const answer = new ResponseDraft().data(Buffer.alloc(80_000, 3)).optimize()
  const server = createServer(connection =>
    connection.on('message', message => {
      message.discard()
      message.respond(answer())
    }),
  )
  await server.listen(0, '127.0.0.1')
  const { port } = server.address()
  const neighbour = await connect(port, '127.0.0.1').ready()
  const [count, atATime] = process.argv.slice(2).map(Number)
  for (let done = 0; done < count; done += atATime) {
    const workers = Array.from({ length: atATime }, () => new Worker(__filename, { workerData: { port } }))
    await Promise.all(workers.map(worker => once(worker, 'message')))
    await Promise.all(workers.map(worker => worker.terminate()))
    // Theirs end; nobody else's does.
    const theirs = server.clients.slice(1)
    await Promise.all(theirs.map(each => new Promise(resolve => each.once('close', resolve))))
  }
  const response = await neighbour.send(Draft.for('still')()).response()
  console.log(JSON.stringify({ clients: server.clients.length, bytes: response.dataSize }))
  await neighbour.close()
  await server.close()
}

if (isMainThread) main()
else work()
