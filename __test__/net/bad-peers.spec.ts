// Peers of a stream that are none: what they say does no harm to anybody else, and is told with a code.
import { once } from 'node:events'
import type { Client } from 'selvedge'
import { over, type Server, type Socket, sockets } from 'selvedge/net'
import { closed, failure, until } from '../support/events'
import { describeFabricsAndWebSocket } from '../support/fabrics'

const gone = (): Promise<void> => until(() => sockets().length === 0)

async function stop(...servers: Server[]): Promise<void> {
  await Promise.all(servers.map(server => (server.listening ? closed(server.close()) : undefined)))
  await gone()
}

describeFabricsAndWebSocket('a peer that is none', fabric => {
  let [host, guest] = [] as unknown as [ReturnType<typeof over>, ReturnType<typeof over>]
  let [hostClient, guestClient] = [] as unknown as [Client, Client]

  beforeEach(() => {
    hostClient = fabric.client()
    guestClient = fabric.client()
    host = over(hostClient)
    guest = over(guestClient)
  })

  test.each([
    ['a text', ['hello']],
    ['a number', [5]],
    ['[9]', [[9]]],
    ['[]', [[]]],
    ['a hello from the wrong end', [[0, { v: 1, port: 1 }]]],
    ['bytes behind the end', [[1], Buffer.from('x')]],
    ['two ends', [[1], [1]]],
  ])('that connects and says %s, is cut off alone', async (_, messages) => {
    const server = host.createServer({ allowHalfOpen: true })
    await once(server.listen('public'), 'listening')
    const neighbour = guest.connect('public')
    const [good] = (await once(server, 'connection')) as [Socket]
    const lost = new Promise(resolve => {
      server.once('connection', socket => void failure(socket.resume()).then(resolve))
    })
    const stranger = guestClient.socket.connect('public')
    for (const message of messages) stranger.write(message)
    expect(await lost).toMatchObject({ code: 'EPROTO', syscall: 'read' })
    if (stranger.state !== 'closed') await once(stranger, 'closed')
    neighbour.end('still here')
    expect(String((await once(good, 'data'))[0])).toBe('still here')
    good.end()
    await closed(neighbour.resume())
    await stop(server)
  })

  test.each([
    ['bytes before the hello', [Buffer.from('x')], 'EPROTO'],
    ['a later version', [[0, { v: 2, port: 1 }]], 'EPROTONOSUPPORT'],
    ['no version', [[0, {}]], 'EPROTO'],
    ['a refusal that is no code', [[2, 'no way!']], 'ECONNRESET'],
    ['a refusal of a megabyte', [[2, 'X'.repeat(1_000_000)]], 'EPROTO'],
  ])('that listens and says %s: %s', async (_, messages, code) => {
    const listener = hostClient.socket.listen('strange')
    await listener.waitUntilReady()
    listener.on('connection', socket => {
      for (const message of messages) socket.write(message)
    })
    const here = guest.connect('strange')
    expect(await failure(here)).toMatchObject({ code, syscall: 'connect' })
    listener.close()
    await gone()
  })

  test('that says nothing is waited for no longer than connectTimeout', async () => {
    const listener = hostClient.socket.listen('silent')
    await listener.waitUntilReady()
    listener.on('connection', () => {})
    const here = guest.connect('silent', { connectTimeout: 50 })
    expect(await failure(here)).toMatchObject({ code: 'ETIMEDOUT' })
    listener.close()
    await gone()
  })

  test('many connects in a tick: those over the backlog are refused, and nothing is left', async () => {
    const undecided: (() => void)[] = []
    const server = host.createServer({
      acceptTimeout: 0,
      accept: () => new Promise<void>(resolve => undecided.push(resolve)),
    })
    await once(server.listen({ subject: 'rush', backlog: 10 }), 'listening')
    server.on('connection', socket => socket.end())
    const many = Array.from({ length: 300 }, () => guest.connect('rush').resume())
    const codes = many.map(
      socket =>
        new Promise(resolve => {
          socket.on('error', error => resolve((error as NodeJS.ErrnoException).code))
          socket.on('close', () => resolve('ended'))
        }),
    )
    await until(() => undecided.length === 10)
    const refused = await Promise.race([Promise.all(codes.slice(10)), Promise.all(codes.slice(0, 290))])
    expect(new Set(refused)).toEqual(new Set(['ECONNREFUSED']))
    for (const decide of undecided) decide()
    const all = await Promise.all(codes)
    expect(all.filter(code => code === 'ended').length).toBe(10)
    await stop(server)
  })
})
