// The question of a socket to its server, lost with a connection on its way: nobody tells of that, and it is asked again.
import { once } from 'node:events'
import { type Client, type ConatServer, connect, init, type ServerSocket } from 'selvedge'
import { type FaultProxy, faultProxy } from 'selvedge/testing'
import { closePages, next, pageClient } from '../browser/party'
import { disconnection, join, listening, numbers, take } from '../support/sockets'

/** Half of what the first question waits for. */
const SOON = 5000

describe.each(['selvedge', 'conat'] as const)('a connect that is lost, %s wire', wire => {
  let broker: ConatServer
  let proxy: FaultProxy
  let clients: Client[] = []

  beforeEach(async () => {
    broker = init({ port: 0 })
    await broker.waitUntilReady()
    proxy = await faultProxy({ target: broker.address()!.port })
    const options = { wire, noCache: true, reconnectionDelay: 5, reconnectionDelayMax: 20 }
    clients = [proxy.address, String(broker.address())].map(address => connect({ address, ...options }))
    await Promise.all(clients.map(client => client.waitUntilReady()))
  })
  afterEach(async () => {
    await closePages()
    await Promise.all(clients.map(client => client.close()))
    await Promise.all([proxy.close(), broker.close()])
  })

  test('with the connection of a server that is back at once does not hold up its socket', async () => {
    const [host, guest] = clients as [Client, Client]
    const [there, socket] = await join(await listening(host, 'chat'), guest)
    guest.disconnect()
    while (await host.interest(`chat.client.${socket.id}`));
    proxy.blackhole('toClient')
    const left = disconnection(host)
    guest.connect()
    await guest.waitUntilReady()
    // Whatever the socket says reaches the broker before this.
    await guest.publish('nobody', 1)
    const begun = Date.now()
    const ready = socket.waitUntilReady()
    await proxy.cut()
    proxy.restore()
    await left
    await ready
    expect(Date.now() - begun).toBeLessThan(SOON)
    const received = [take(there, 10), take(socket, 10)]
    for (const n of numbers(1, 10)) for (const end of [there, socket]) end.write(n)
    expect(await Promise.all(received)).toEqual([numbers(1, 10), numbers(1, 10)])
  })

  test('does not hold up the socket of a page, either', async () => {
    const [host] = clients as [Client, Client]
    const listener = await listening(host, 'chat')
    const page = pageClient(String(broker.address()))
    const [there, socket] = [once(listener, 'connection'), page.socket.connect('chat')]
    await Promise.all([there, socket.waitUntilReady()])
    page.disconnect()
    while (await host.interest(`chat.client.${socket.id}`));
    proxy.blackhole('toClient')
    const left = disconnection(host)
    page.connect()
    await page.waitUntilReady()
    await page.publish('nobody', 1)
    const begun = Date.now()
    const ready = socket.waitUntilReady()
    await proxy.cut()
    proxy.restore()
    await Promise.all([left, ready])
    expect(Date.now() - begun).toBeLessThan(SOON)
    const received = next(socket, 'data')
    socket.write('on')
    const [server] = (await there) as [ServerSocket]
    server.write('on')
    expect(await received).toBe('on')
  })
})
