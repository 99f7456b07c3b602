// A handler that throws: [handled: whether the program has an uncaughtException handler], or [async: a handler that rejects].
import { connect } from 'selvedge'

const handled = process.argv[2] === 'handled'
const thrown = []
if (handled) process.on('uncaughtException', error => thrown.push(error.message))
const client = connect()
const server = client.socket.listen('throw')
const seen = []
server.on('connection', socket => {
  if (process.argv[2] === 'async') {
    socket.on('data', async function brokenHandler(data) {
      throw Error(`no ${data}`)
    })
    return
  }
  socket.on('data', function brokenHandler(data) {
    seen.push(data)
    if (data % 10 === 3) throw Error(`no ${data}`)
  })
})
const socket = client.socket.connect('throw')
for (let i = 0; i < 40; i++) socket.write(i)
await socket.drain()
console.log(JSON.stringify({ seen, thrown, unsent: socket.tcp.send.unsent }))
await client.close()
