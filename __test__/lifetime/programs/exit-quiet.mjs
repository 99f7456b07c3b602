// Ends while everything is open and nothing is under way: [address|-] [code].
import { once } from 'node:events'
import { connect, init } from 'selvedge'

const [address, code] = process.argv.slice(2)
const server = init({ port: 0 })
const open = () => (address === '-' ? server.client() : connect({ address, noCache: true }))
const [left, right] = [open(), open()]
const subject = `exit-quiet.${process.pid}`
right.socket.listen(subject).on('connection', socket => socket.on('request', mesg => mesg.respond('heard')))
const socket = left.socket.connect(subject)
await once(socket, 'ready')
await socket.request('anybody?')
setTimeout(() => process.exit(Number(code)), 100)
