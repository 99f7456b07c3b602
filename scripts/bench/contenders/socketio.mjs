// Socket.IO over WebSocket, with its own acknowledgement for every message.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import { Credit } from './credit.mjs'

export async function serve({ accept, onRequest }) {
  const web = createServer()
  const server = new Server(web, { transports: ['websocket'], maxHttpBufferSize: 16e6 })
  server.on('connection', socket => {
    const onData = accept()
    socket.on('data', (data, acknowledge) => {
      onData(data)
      acknowledge()
    })
    socket.on('ask', (data, answer) => answer(onRequest(data)))
  })
  web.listen({ port: 0, host: '127.0.0.1', backlog: 4096 })
  await once(web, 'listening')
  return {
    address: `http://127.0.0.1:${web.address().port}`,
    count: () => server.engine.clientsCount,
    broadcast: data => server.emit('data', data),
    drained: () => server.timeout(10_000).emitWithAck('sync'),
  }
}

export async function session({ address, window }) {
  return { open }

  async function open({ onData } = {}) {
    const socket = io(address, { transports: ['websocket'], forceNew: true, reconnection: false })
    const credit = new Credit(window)
    const acknowledge = () => credit.acknowledgeOne()
    socket.on('data', data => onData(data))
    socket.on('sync', done => done())
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject))
    return { send, request: data => socket.emitWithAck('ask', data) }

    function send(data) {
      if (credit.used()) return credit.below(window >> 1).then(() => send(data))
      credit.sent++
      socket.emit('data', data, acknowledge)
    }
  }
}
