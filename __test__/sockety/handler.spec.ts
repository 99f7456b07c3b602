// Handlers: their steps in order, what they answer, and what they leave unread.
import { PassThrough, type Readable } from 'node:stream'
import {
  type Connection,
  Draft,
  FastReply,
  FileTransfer,
  type Message,
  MessageHandler,
} from 'selvedge/sockety'
import { closeAll, dial, listen, portOf } from './pairs'

afterEach(closeAll)

async function served(handler: (message: Message) => unknown, options = {}): Promise<Connection> {
  const server = await listen(options)
  server.on('connection', connection => connection.on('message', handler))
  return dial(portOf(server), options)
}

const ask = (connection: Connection, action: string) => connection.send(Draft.for(action)()).response()

test('the example of the specification', async () => {
  const handler = new MessageHandler()
    .use(() => {})
    .action('a', () => 0)
    .action('b', () => {
      throw Error('b')
    })
    .error(() => 5)
    .use(() => 2)
  const connection = await served(handler)
  expect([await ask(connection, 'a'), await ask(connection, 'b'), await ask(connection, 'other')]).toEqual([
    0, 5, 2,
  ])
})

test('steps run one after another, wait for promises, and go on after answers and errors', async () => {
  const seen: unknown[] = []
  const handler = new MessageHandler()
    .action('x', async () => {
      await new Promise(setImmediate)
      seen.push('first')
      return 7
    })
    .action('x', () => {
      seen.push('second')
      throw Error('broken')
    })
    .action('x', () => seen.push('never'))
    .use(async (_, error) => {
      seen.push((error as Error).message)
      throw Error('again')
    })
    .error((_, error) => {
      seen.push((error as Error).message)
      return 9
    })
  const connection = await served(handler)
  expect(await ask(connection, 'x')).toBe(7)
  expect(seen).toEqual(['first', 'second', 'broken', 'again'])
  expect(typeof handler).toBe('function')
  expect(handler).toBeInstanceOf(MessageHandler)
  expect(handler.optimize()).toBe(handler.optimize())
  expect(await handler({ action: 'none', discard() {} } as never)).toBe(undefined)
})

test('numbers are answers only where they can be', async () => {
  const errors: unknown[] = []
  const handler = new MessageHandler()
    .action('code', () => 4096)
    .error((_, error) => {
      errors.push((error as Error).message)
      return 6
    })
    .action('own', async message => {
      await message.fastReply(8)
      return 1
    })
  const connection = await served(handler)
  expect([await ask(connection, 'code'), await ask(connection, 'own')]).toEqual([6, 8])
  expect(errors).toEqual(['Invalid short response code.'])
  const replies: unknown[] = []
  connection.on('fastReply', (_, code) => replies.push(code))
  await connection.pass(Draft.for('own')())
  await ask(connection, 'own')
  expect(replies).toEqual([8, 8])
})

test('what a handler does not read is discarded, and holds up nobody', async () => {
  let left: Message | undefined
  const handler = new MessageHandler().action('big', message => {
    left = message
    return 0
  })
  const connection = await served(handler, { maxUnreadBytes: 100_000 })
  const big = Draft.for('big').data(Buffer.alloc(60_000)).stream()
  for (let i = 0; i < 10; i++) {
    const request = connection.send(big())
    request.stream!.end(Buffer.alloc(60_000))
    expect(await request.response()).toBe(0)
  }
  await expect(left!.dataBuffer()).rejects.toMatchObject({ code: 'ERR_SOCKETY_DISCARDED' })
})

test('nor does a look at it: only what is being read, or was given to a reader, is kept', async () => {
  let looked: Message | undefined
  const read: Promise<number>[] = []
  const length = async (stream: Readable) => Buffer.concat(await stream.toArray()).length
  const handler = new MessageHandler()
    .action('refused', message => {
      looked = message
      // Nobody reads any of these.
      const sizes = [...message.files, message.data!].map(({ size }) => size)
      return message.stream !== null && sizes.every(size => size === 60_000) ? FastReply.BadRequest : 0
    })
    .action('taken', message => {
      const [iterated, piped] = message.files
      read.push(length(iterated!), length(piped!.pipe(new PassThrough())))
      return 0
    })
  const connection = await served(handler, { maxUnreadBytes: 100_000 })
  const files = ['a', 'b'].map(name => FileTransfer.buffer(Buffer.alloc(60_000), name))
  const refused = Draft.for('refused').data(Buffer.alloc(60_000)).files(files).stream()
  for (let i = 0; i < 5; i++) {
    const request = connection.send(refused())
    request.stream!.end(Buffer.alloc(60_000))
    expect(await request.response()).toBe(FastReply.BadRequest)
  }
  await expect(length(looked!.files[0]!)).rejects.toMatchObject({ code: 'ERR_SOCKETY_DISCARDED' })
  expect(await connection.send(Draft.for('taken').files(files)()).response()).toBe(0)
  expect(await Promise.all(read)).toEqual([60_000, 60_000])
})
