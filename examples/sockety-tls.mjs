// Sockety over TLS: the client verifies the server, the server asks for a certificate, and a stranger's is refused.
import { readFileSync } from 'node:fs'
import { createSecureServer, Draft, FastReply, secureConnect } from 'selvedge/sockety'

// Made for the tests of this package: an authority, and certificates that it has signed.
const pem = name => readFileSync(new URL(`../tests/data/tls/${name}.pem`, import.meta.url), 'utf8')
const ca = pem('ca')

const server = createSecureServer(
  { key: pem('server.key'), cert: pem('server'), ca, requestCert: true },
  connection => connection.on('message', message => message.fastReply(FastReply.Accept)),
)
await server.listen(0, '127.0.0.1')
const { port } = server.address()

// The certificate is for localhost, and we connect to an address.
const mine = { ca, key: pem('client.key'), cert: pem('client'), servername: 'localhost' }
const connection = await secureConnect(port, '127.0.0.1', mine).ready()
console.log('with a certificate:', await connection.send(Draft.for('hello')()).response())
await connection.close()

for (const [who, options] of [
  ['without a certificate', { ca, servername: 'localhost' }],
  ['with another authority', { ...mine, ca: pem('other-ca') }],
  ['with another name', { ...mine, servername: 'elsewhere' }],
]) {
  const refused = secureConnect(port, '127.0.0.1', options)
  const error = await refused.ready().then(
    () => new Promise(resolve => refused.once('close', () => resolve(refused.closeReason))),
    reason => reason,
  )
  console.log(`${who}:`, error.code)
}
await server.close()

// prints:
// with a certificate: 0
// without a certificate: ERR_TLS_CLIENT_CERTIFICATE
// with another authority: ERR_TLS_UNTRUSTED
// with another name: ERR_TLS_NAME
