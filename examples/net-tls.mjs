// TLS end to end over a subject: the broker sees ciphertext. The server asks for a certificate, and wrong names and strangers
// are refused, by the code of Node's own TLS.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'selvedge'
import { over } from 'selvedge/tls'

// Made for the tests of this package: an authority, and certificates that it has signed.
const pem = name => readFileSync(new URL(`../tests/data/tls/${name}.pem`, import.meta.url), 'utf8')
const ca = pem('ca')

const client = connect()
const tls = over(client)
const server = tls.createServer(
  { key: pem('server.key'), cert: pem('server'), ca, requestCert: true },
  socket => {
    socket.on('error', console.error) // a peer that resets its stream would end the process
    socket.end(socket.authorized ? `welcome, ${socket.getPeerCertificate().subject.CN}` : 'welcome')
  },
)
server.on('tlsClientError', () => {})
await once(server.listen('bank.core'), 'listening')

// The certificate is for localhost. Without `servername` it would have to be for the subject.
const mine = { ca, key: pem('client.key'), cert: pem('client'), servername: 'localhost' }
const socket = tls.connect('bank.core', mine)
console.log(String((await once(socket, 'data'))[0]))
await once(socket, 'close')

for (const [who, options] of [
  ['for another name', { ...mine, servername: undefined }],
  ['of another authority', { ...mine, ca: pem('other-ca') }],
]) {
  const [error] = await once(tls.connect('bank.core', options), 'error')
  console.log(`${who}:`, error.code)
}
await new Promise(resolve => server.close(resolve))
await client.close()

// prints:
// welcome, selvedge test client
// for another name: ERR_TLS_CERT_ALTNAME_INVALID
// of another authority: SELF_SIGNED_CERT_IN_CHAIN
