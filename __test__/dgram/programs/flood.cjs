// Sends datagrams as fast as they go: `flood.cjs CONNECT SUBJECT COUNT BYTES HEADERS`, then exits. CONNECT: options as JSON.
// HEADERS: bytes of headers; none of datagrams themselves.
const { connect } = require('../../../dist/index.js')
const { over } = require('../../../dist/dgram/index.js')

const [options, subject, count, bytes, headers] = process.argv.slice(2)
const client = connect({ noCache: true, ...JSON.parse(options) })
const socket = over(client).createSocket('subject')
const datagram = Buffer.alloc(Number(bytes), 'x')

const publish = () => client.publish(subject, datagram, { headers: { x: 'x'.repeat(Number(headers)) } })
const sendOne = () => new Promise(resolve => socket.send(datagram, subject, error => resolve(error?.code)))
const send = Number(headers) > 0 ? publish : sendOne

async function flood() {
  await client.waitUntilReady()
  await new Promise(resolve => socket.bind(resolve))
  for (let sent = 0; sent < Number(count); ) {
    const codes = await Promise.all(Array.from({ length: Math.min(64, Number(count) - sent) }, send))
    sent += codes.filter(code => typeof code !== 'string').length
    if (codes.includes('ENOBUFS')) await new Promise(setImmediate)
  }
  // Answered behind them.
  await client.publish(`${subject}.end`, '')
  await client.close()
}

flood()
