// Writes, closes and is gone: [address] [subject] [count] [client: whether the client is closed too].
import { connect } from 'selvedge'

const [address, subject, count, closes] = process.argv.slice(2)
const client = connect({ address })
const socket = client.socket.connect(subject)
await socket.waitUntilReady()
for (let i = 0; i < Number(count); i++) socket.write(i)
socket.close()
if (closes === 'client') client.close()
