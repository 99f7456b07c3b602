// A signed-in client that would speak to servers as one of them, to read, write and empty the rooms of a subject that it may
// connect to.
import { once } from 'node:events'
import {
  type Client,
  type ConatServer,
  type ConatSocketClient,
  type ConatSocketServer,
  connect,
  init,
  privateEnds,
} from 'selvedge'
import { rejection } from '../support/messages'
import { Arena } from './arena'

let broker: ConatServer
let clients: Client[]

const as = (name: string): Client => {
  const client = connect({
    address: `http://127.0.0.1:${(broker.address() as { port: number }).port}`,
    noCache: true,
    extraHeaders: { 'X-User': name },
    inboxPrefix: `_INBOX_${name}`,
  })
  clients.push(client)
  return client
}

beforeEach(async () => {
  broker = init({
    port: 0,
    getUser: ({ handshake }) => ({ name: handshake.headers['x-user'] }),
    isAllowed: privateEnds({ serve: user => (user.name === 'backend' ? ['chat', 'of.*'] : []) }),
  })
  clients = []
  await broker.waitUntilReady()
})

afterEach(async () => {
  await Promise.all(clients.map(client => client.close()))
  await broker.close()
})

/** A server that puts all who come into one room. */
async function serve(subject: string, id: string): Promise<ConatSocketServer> {
  const server = as('backend').socket.listen(subject, { id })
  server.on('connection', socket => socket.join('all', { key: socket.id }))
  server.room('all')
  await server.waitUntilReady()
  return server
}

describe.each(['chat', 'of.*'])('rooms of %s', pattern => {
  const subject = pattern.replace('*', 'ann')
  const network = `${pattern.replace('*', '-')}.server.rooms`

  async function come(): Promise<{ ann: ConatSocketClient; heard: unknown[] }> {
    const ann = as('ann').socket.connect(subject)
    const heard: unknown[] = []
    ann.on('data', data => heard.push(data))
    await ann.waitUntilReady()
    return { ann, heard }
  }

  test('are closed to a client that speaks as a server', async () => {
    const server = await serve(pattern, 's1')
    const { ann, heard } = await come()
    const mallory = as('mallory')
    const link = mallory.socket.connect(`${network}.s1`)
    const stolen: unknown[] = []
    link.on('data', data => stolen.push(data))
    link.write(['hello', 'zz'])
    link.write(['write', ['all'], [], false, 0, 0, Buffer.from([0xa6, ...Buffer.from('forged')]), null])
    await Promise.race([once(link, 'closed'), once(link, 'data'), once(ann, 'data')])
    link.close()
    server.to('all').write('own')
    while (!heard.includes('own')) await once(ann, 'data')
    expect({ stolen, heard, state: ann.state }).toEqual({ stolen: [], heard: ['own'], state: 'ready' })
    expect((await rejection(mallory.publish(network, { id: 'zz', pattern, version: 1 }))).code).toBe(403)
    expect((await rejection(mallory.subscribe(network))).code).toBe(403)
  })

  test('are those of all servers', async () => {
    const servers = [await serve(pattern, 's1'), await serve(pattern, 's2')]
    const { heard, ann } = await come()
    // They find each other, whichever has the client.
    for (const server of servers) {
      const room = server.room('all')
      if (room.members.size === 0) await once(room, 'join')
    }
    for (const server of servers) server.to('all').write(server.id)
    while (heard.length < 2) await once(ann, 'data')
    expect(heard.sort()).toEqual(['s1', 's2'])
  })
})

test('what comes from another server, and nobody can write, ends no process', async () => {
  const arena = await Arena.open()
  try {
    const stranger = connect({ address: `http://127.0.0.1:${arena.port}`, noCache: true })
    clients.push(stranger)
    const link = stranger.socket.connect(`crowd.server.rooms.${await arena.victim.ask('crowd')}`)
    const told: unknown[] = []
    link.on('data', data => told.push(data))
    link.write(['hello', 'zz'])
    let deep: unknown = 1
    for (let n = 0; n < 80; n++) deep = { deep }
    const write = (number: number, headers: unknown): void =>
      void link.write(['write', ['all'], [], false, number, 0, Buffer.from([1]), headers])
    for (const headers of [{ large: 'x'.repeat(1_500_000) }, deep]) {
      write(0, headers)
      write(7, headers)
    }
    write(8, null)
    while (!told.some(data => (data as unknown[])[1] === 8)) await once(link, 'data')
    const answers = told.filter(data => (data as unknown[])[0] === 'wrote')
    expect(answers.sort()).toEqual([7, 7, 8].map(number => ['wrote', number, 0, []]))
    await arena.look('broadcasts that nobody can write')
  } finally {
    await arena.close()
  }
})
