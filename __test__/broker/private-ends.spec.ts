// The ready permissions: inboxes are private, and sockets belong to their ends, over each way to plug in.
import { type Client, privateEnds } from 'selvedge'
import { describeFabrics, type Fabric } from '../support/fabrics'
import { rejection } from '../support/messages'

const named = (fabric: Fabric, name: string): Client =>
  fabric.client({ extraHeaders: { 'X-User': name }, inboxPrefix: `_INBOX_${name}` })

const isAllowed = privateEnds({
  serve: user => (user?.name === 'backend' ? ['chat', 'api.*'] : []),
  connect: ['chat', 'api.>'],
  other: ({ user, subject }) => subject.startsWith(`user.${user.name}.`) || subject.startsWith('public.'),
})

describeFabrics(
  'private ends',
  fabric => {
    test('sockets, their requests and answers work without another word of permission', async () => {
      const backend = named(fabric, 'backend')
      for (const subject of ['chat', 'api.*']) {
        const server = backend.socket.listen(subject)
        server.on('connection', socket => {
          socket.on('data', data => socket.write(['echo', data]))
          socket.on('request', message => message.respondSync(['answer', message.data]))
        })
        await server.waitUntilReady()
      }
      const ann = named(fabric, 'ann')
      for (const subject of ['chat', 'api.v1']) {
        for (const stream of [true, false]) {
          const socket = ann.socket.connect(subject, { stream })
          expect(socket.id).toMatch(/^ann~./)
          const echo = new Promise(resolve => socket.once('data', resolve))
          socket.write(1)
          expect(await echo).toEqual(['echo', 1])
          expect((await socket.request(2)).data).toEqual(['answer', 2])
          await socket.end()
        }
      }
      const notes = await ann.subscribe('user.ann.notes')
      notes.emitter.on('message', message => message.respondSync('noted'))
      expect((await ann.request('user.ann.notes', 1)).data).toBe('noted')
    })

    test('nobody hears or says what is another’s', async () => {
      const [backend, ann, mallory] = ['backend', 'ann', 'mallory'].map(name => named(fabric, name)) as [
        Client,
        Client,
        Client,
      ]
      const server = backend.socket.listen('chat', { id: 's1' })
      await server.waitUntilReady()
      const socket = ann.socket.connect('chat')
      await socket.waitUntilReady()
      for (const pattern of [
        '>',
        '*',
        '_INBOX.>',
        '_INBOX_ann.>',
        '*.x.*',
        'chat.>',
        'chat.*.*',
        'public.>',
        'public.*.x',
        'public.server.*',
        'public.chat.server.*',
        `chat.client.${socket.id}`,
        `*.client.${socket.id}`,
        'chat.client.*',
        'chat.client.mallory',
        'chat.client.mallory~',
        'chat.server.status',
        'chat.server.s1.*',
        `chat.server.s1.${socket.id}`,
        'other.client.mallory~1',
        'user.ann.x',
      ]) {
        expect([pattern, (await rejection(mallory.subscribe(pattern))).code]).toEqual([pattern, 403])
      }
      for (const subject of [
        `chat.client.${socket.id}`,
        'chat.client.mallory~1',
        `chat.server.s1.${socket.id}`,
        'chat.server.s1.mallory',
        'other.server.s1.mallory~1',
        'chat.server.rooms.mallory~1',
        'api.v1.server.rooms.mallory~1',
        '_INBOX_ann',
        'user.ann.x',
      ]) {
        expect([subject, (await rejection(mallory.publish(subject, 1))).code]).toEqual([subject, 403])
      }
      await expect(mallory.publish('chat.server.s1.mallory~1', 1)).resolves.toMatchObject({ count: 1 })
      await (await mallory.subscribe('public.*')).return()
      const served = mallory.socket.listen('chat')
      const refused = new Promise<any>(resolve => served.once('closed', resolve))
      expect((await refused).code).toBe(403)
    })
  },
  {
    getUser: ({ handshake }) => ({ name: handshake.headers['x-user'] }),
    isAllowed,
  },
)

test('a user without a name, or with one that means something in a subject, is nobody', () => {
  const asked = (name: unknown, subject: string): unknown =>
    isAllowed({ type: 'sub', user: name === undefined ? null : { name }, subject })
  for (const name of [undefined, '', 'a.b', 'a*', '>', 'a~b', 'a b', 7]) {
    for (const subject of [`_INBOX_${name}.x.*`, `chat.client.${name}~1`]) {
      expect([name, subject, asked(name, subject)]).toEqual([name, subject, false])
    }
  }
  expect(asked('a', 'chat.client.a~1')).toBe(true)
  expect(isAllowed({ type: 'sub', user: { hub_id: 'system' }, subject: '>' })).toBe(true)
  expect(() => privateEnds({ serve: 'chat' as never })).toThrow('serve must be an array of patterns')
})
