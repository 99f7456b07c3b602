// No broker and no network: without an address (and without CONAT_SERVER) clients meet on the fabric of the
// process. The same program works over a broker when it is given an address.
import { connect } from 'selvedge'

const host = connect({ noCache: true })
const guest = connect({ noCache: true })

let sum = 0
const listener = host.socket.listen('sums')
listener.on('connection', socket => {
  socket.on('data', n => {
    if (typeof n === 'number') sum += n // a client can write any value
  })
})

const socket = guest.socket.connect('sums')
for (let n = 1; n <= 100; n++) {
  try {
    socket.write(n)
  } catch (err) {
    if (err.code !== 'ENOBUFS') throw err
    await socket.waitUntilDrain() // the window is full: wait for the reader
    socket.write(n)
  }
}
await socket.waitUntilDrain()
console.log('sum:', sum)

await socket.end()
guest.close()
host.close()

// prints:
// sum: 5050
