// Writes, and ends in the same tick: [address] [subject] [how].
import { connect } from 'selvedge'

const [address, subject, how] = process.argv.slice(2)
const client = connect({ address })
const socket = client.socket.connect(subject)
await socket.waitUntilReady()
client.publishSync(`${subject}.published`, 'last')
socket.write('last')
if (how === 'exit') process.exit(7)
if (how === 'throw') throw Error('out of order')
process.kill(process.pid, 'SIGKILL')
