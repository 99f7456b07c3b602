// A server on a narrow link that writes to 40 sockets of one user as fast as their windows take it, whatever `write` returns: they
// read nothing, and others are answered, on their sockets and beside them.
import { once } from 'node:events'
import { type AddressInfo, createServer, connect as dial, type Server } from 'node:net'
import { type Client, connect } from 'selvedge'
import { STALL_MS, stopwatch } from '../support/stall'
import { Resident } from './arena'

const SOCKETS = 40
const BYTES_PER_SECOND = 16 * 1024 * 1024
const SIEGE_MS = 6000

jest.setTimeout(60_000)

const residents: Resident[] = []
const clients: Client[] = []
let relay: Server | undefined

async function start(role: string, address: string): Promise<Resident> {
  const resident = await Resident.start(role, address)
  residents.push(resident)
  return resident
}

function come(port: unknown, user: string): Client {
  const client = connect({
    address: `http://127.0.0.1:${port}`,
    noCache: true,
    extraHeaders: { 'x-user': user },
  })
  clients.push(client)
  return client
}

/** Passes on what comes, to there at this pace. */
async function narrow(port: number): Promise<number> {
  relay = createServer(near => {
    const far = dial(port, '127.0.0.1')
    far.pipe(near)
    near.on('data', data => {
      far.write(data)
      near.pause()
      setTimeout(() => near.resume(), (data.length / BYTES_PER_SECOND) * 1000)
    })
    for (const end of [near, far]) end.on('error', () => {})
    near.on('close', () => far.destroy())
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  return (relay.address() as AddressInfo).port
}

afterAll(async () => {
  for (const client of clients) client.close()
  await Promise.all(residents.map(resident => resident.end()))
  relay?.close()
})

test('one user’s sockets that read nothing keep nobody from being answered', async () => {
  const broker = await start('broker', JSON.stringify({ users: true }))
  const port = broker.value as number
  const server = await start('victim', `http://127.0.0.1:${await narrow(port)}`)
  const [greedy, honest] = [come(port, 'greedy'), come(port, 'honest too')]
  const socket = honest.socket.connect('fed')
  await socket.waitUntilReady()
  for (let n = 0; n < SOCKETS; n++) greedy.socket.connect('fed').write('feed me')
  const worst = { request: 0, echo: 0 }
  for (const end = Date.now() + SIEGE_MS; Date.now() < end; ) {
    const asked = stopwatch(broker.pid, server.pid)
    await honest.request('honest.service', 'who?', { timeout: 30_000 })
    worst.request = Math.max(worst.request, asked())
    const written = stopwatch(broker.pid, server.pid)
    socket.write('echo')
    await once(socket, 'data')
    worst.echo = Math.max(worst.echo, written())
  }
  expect((await server.ask('report')).broken).toEqual([])
  expect(worst.request).toBeLessThan(STALL_MS)
  expect(worst.echo).toBeLessThan(STALL_MS)
})
