// A web server of Node's on a subject: no port, and a broker that is started again in the middle is not noticed.
import { once } from 'node:events'
import http from 'node:http'
import { connect, init } from 'selvedge'
import { over } from 'selvedge/net'

let broker = init({ port: 0 })
await broker.waitUntilReady()
const { port } = broker.address()
const address = `http://127.0.0.1:${port}`

const host = connect({ address, noCache: true })
const web = http.createServer((request, response) => response.end(`you asked for ${request.url}`))
const served = over(host).serve('web', web)
await once(served, 'listening')

const guest = connect({ address, noCache: true })
const agent = over(guest).agent({ subject: 'web', keepAlive: true })
const get = async path => {
  const [response] = await once(http.get(`http://web${path}`, { agent }), 'response')
  return (await response.toArray()).join('')
}
console.log(await get('/news'))
await broker.close()
broker = init({ port })
await broker.waitUntilReady()
console.log(await get('/weather'))

agent.destroy()
served.close()
await Promise.all([guest.close(), host.close()])
await broker.close()

// prints:
// you asked for /news
// you asked for /weather
