// Subscribes, and at the first message is busy until its standard input ends; then says what came, in order or not: [address] [subject] [count].
import { readFileSync, writeSync } from 'node:fs'
import { connect } from 'selvedge'

const [address, subject, count] = process.argv.slice(2)
const client = connect({ address, noCache: true })
const messages = await client.subscribe(subject)
writeSync(1, 'subscribed ')
let expected = 0
for await (const { data } of messages) {
  if (data.readUInt32LE() !== expected) break
  if (expected++ === 0) {
    writeSync(1, 'busy ')
    readFileSync(0)
    writeSync(1, 'free ')
  }
  if (expected === Number(count)) break
}
writeSync(1, String(expected))
await client.close()
