// Requests to the members of rooms at all servers, closes that tell why, and who the members are.
import { once } from 'node:events'
import {
  type ConatSocketClient,
  type ConatSocketServer,
  FabricError,
  init,
  Message,
  watchRoom,
} from 'selvedge'
import { describeFabrics, type Fabric } from '../support/fabrics'
import { rejection } from '../support/messages'

/** Two servers of `chat`, each with so many members of the room `lobby`, who know each other. */
async function crowd(
  fabric: Fabric,
  count = 2,
): Promise<{ servers: ConatSocketServer[]; members: ConatSocketClient[] }> {
  const members: ConatSocketClient[] = []
  const servers: ConatSocketServer[] = []
  for (const id of ['one', 'two']) {
    const listener = fabric.client().socket.listen('chat', { id })
    listener.on('connection', socket => socket.join('lobby', { key: `${socket.clientSubject}` }))
    await listener.waitUntilReady()
    servers.push(listener)
    for (let n = 0; n < count; n++) {
      const socket = fabric.client().socket.connect('chat', { loadBalancer: () => id })
      socket.handle(question => [question, id, n])
      await socket.waitUntilReady()
      members.push(socket)
    }
  }
  for (const listener of servers) {
    const room = listener.room('lobby')
    while (room.members.size < 2 * count) await once(room, 'join')
  }
  return { servers, members }
}

async function allOf(answers: AsyncIterable<Message | FabricError>): Promise<(Message | FabricError)[]> {
  const all: (Message | FabricError)[] = []
  for await (const answer of answers) all.push(answer)
  return all
}

const dataOf = (answer: Message | FabricError): unknown =>
  answer instanceof FabricError ? answer.code : answer.data

describeFabrics('a request to a room', fabric => {
  test('asks each member once, wherever it is, and has errors in their places', async () => {
    const { servers, members } = await crowd(fabric)
    const [one] = servers as [ConatSocketServer]
    const answers = await allOf(one.to('lobby').request('who?', { headers: { n: 1 } }))
    expect(answers.map(dataOf).sort()).toEqual([
      ['who?', 'one', 0],
      ['who?', 'one', 1],
      ['who?', 'two', 0],
      ['who?', 'two', 1],
    ])
    const last = members[3]!
    last.removeAllListeners('request')
    last.handle(() => {
      throw new FabricError('not now', 'ERR_BUSY', { data: { until: 5 } })
    })
    const [failed, ...rest] = (await allOf(one.to('lobby').request('again'))).sort(
      (a, b) => Number(b instanceof FabricError) - Number(a instanceof FabricError),
    )
    expect(failed).toMatchObject({ code: 'ERR_BUSY', message: 'not now', data: { until: 5 }, ids: [last.id] })
    expect(rest.map(answer => answer instanceof Message)).toEqual([true, true, true])
    // As with a broadcast: some are left out, or only this server's are meant.
    const here = await allOf(one.to('lobby').local.except(members[0]!.id).request('here'))
    expect(here.map(dataOf)).toEqual([['here', 'one', 1]])
    expect(await allOf(one.to('nobody').request('anybody?'))).toEqual([])
    // What is awaited is the same loop.
    expect((await allOf(await one.to('lobby').request('awaited'))).length).toBe(4)
  })

  test('ends with as many as are wanted, after a pause, and by its signal; members hear that nobody waits', async () => {
    const { servers, members } = await crowd(fabric)
    const [one] = servers as [ConatSocketServer]
    expect((await allOf(one.to('lobby').request('few', { maxMessages: 3 }))).length).toBe(3)
    const silent = members[2]!
    silent.removeAllListeners('request')
    const asked: Message[] = []
    silent.on('request', message => void asked.push(message))
    expect((await allOf(one.to('lobby').request('quiet', { maxWait: 300 }))).length).toBe(3)
    const late = await allOf(one.to('lobby').request('in time', { timeout: 300 }))
    expect(late.map(dataOf).filter(data => data === 408)).toEqual([408])
    const controller = new AbortController()
    const answers = one.to('lobby').request('aborted', { signal: controller.signal })
    for (let n = 0; n < 3; n++) await answers.next()
    while (asked.length < 3) await once(silent, 'request')
    const told = once(asked[2]!.signal, 'abort')
    controller.abort()
    expect((await rejection(answers.next())).code).toBe('ABORT_ERR')
    await told
  })

  test('hears of a server that is lost, and of wrong arguments', async () => {
    const { servers, members } = await crowd(fabric, 1)
    const [one, two] = servers as [ConatSocketServer, ConatSocketServer]
    const silent = members[1]!
    silent.removeAllListeners('request')
    silent.on('request', () => two.close())
    const answers = await allOf(one.to('lobby').request('last words'))
    expect(answers.map(dataOf).map(String)).toContain('last words,one,0')
    const lost = answers.find(answer => answer instanceof FabricError)
    expect(lost?.ids?.length).toBe(1)
    expect(() => one.to('lobby').request(1, { nonsense: 1 } as never)).toThrow(
      expect.objectContaining({ code: 'ERR_UNKNOWN_OPTION' }),
    )
    expect(() => one.to('lobby').request({ a: [1n] })).toThrow(
      expect.objectContaining({ code: 'ERR_ENCODE', message: expect.stringContaining('a[0]') }),
    )
  })
})

describeFabrics('a room that is closed with a reason', fabric => {
  test('tells the clients at all servers text and code', async () => {
    const { servers, members } = await crowd(fabric, 1)
    const [one] = servers as [ConatSocketServer]
    const closed = members.map(member => once(member, 'closed'))
    one.to('lobby').close(new FabricError('the room is closed', 'ERR_ROOM_OVER'))
    for (const [reason] of await Promise.all(closed))
      expect(reason).toMatchObject({ code: 'ERR_ROOM_OVER', message: 'the room is closed' })
    expect(() => one.to('lobby').close('because' as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    )
  })
})

test('servers know who the members are, by the word of each one’s broker; clients that look on do not', async () => {
  const broker = init({ port: 0, getUser: ({ handshake }) => ({ name: handshake.headers['x-user'] }) })
  await broker.waitUntilReady()
  const clients = [broker.client(), broker.client()]
  const servers = clients.map(client => client.socket.listen('chat'))
  for (const listener of servers) {
    listener.on('connection', socket => {
      socket.join('lobby', { key: 'member', data: { shown: true } })
      listener.room('lobby').watch(socket)
    })
    await listener.waitUntilReady()
  }
  const { connect } = await import('selvedge')
  const guest = connect({ address: `${broker.address()}`, noCache: true, extraHeaders: { 'X-User': 'ann' } })
  const view = watchRoom<{ shown: boolean }>(guest.socket.connect('chat'), 'lobby')
  while (!view.members.has('member')) await once(view, 'sync')
  for (const listener of servers) {
    const room = listener.room<{ shown: boolean }>('lobby')
    while (room.members.size === 0) await once(room, 'join')
    expect(room.members.get('member')).toMatchObject({ user: { name: 'ann' }, data: { shown: true } })
  }
  expect(Object.keys(view.members.get('member')!).sort()).toEqual(['data', 'key', 'sockets', 'stale'])
  await guest.close()
  for (const client of clients) await client.close()
  await broker.close()
})
