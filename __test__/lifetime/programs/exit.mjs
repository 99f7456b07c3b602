// Ends in the middle of traffic, with the code that it is given: [address|-] [code].
import { connect } from 'selvedge'

const [address, code] = process.argv.slice(2)
const options = address === '-' ? {} : { address }
const [left, right] = [connect({ ...options, noCache: true }), connect({ ...options, noCache: true })]
const subject = `exit.${process.pid}`
right.socket.listen(subject).on('connection', socket => socket.on('data', data => socket.write(data)))
const socket = left.socket.connect(subject)
let seen = 0
socket.on('data', data => {
  seen += 1
  if (seen === 2000) process.exit(Number(code))
  socket.write(data)
})
for (let i = 0; i < 500; i++) socket.write(Buffer.alloc(1 + (i % 7) * 1000))
