// A worker of workers.cjs: echoes what it is sent, or writes as fast as it may, over the process's own fabric, or a broker's port.
const { workerData, parentPort } = require('node:worker_threads')
const { connect } = require('selvedge')

const { job, subject, address } = workerData
const client = connect({ address })

if (job === 'echo') {
  const server = client.socket.listen(subject)
  server.on('connection', socket => {
    socket.on('data', data => socket.write({ echo: data }))
    socket.once('closed', () => server.close())
  })
  server.once('ready', () => parentPort.postMessage('ready'))
} else if (job === 'flood') {
  const socket = client.socket.connect(subject)
  const fill = () => {
    while (socket.state !== 'closed' && socket.write(Buffer.alloc(100)));
  }
  let seen = 0
  socket.on('data', () => {
    seen += 1
    if (seen === 200) parentPort.postMessage('busy')
    fill()
  })
  socket.on('drain', fill)
  fill()
}
