// Compile-only: programs that name what travels, without a cast, and wrong ones that do not compile.
import { type EventEmitter, once } from 'node:events'
import * as selvedge from 'selvedge'

/** One contract for both ends of a subject's sockets. */
interface Chat {
  toServer: { text: string }
  toClient: { from: string; text: string }
  askServer: [question: 'who', answer: string[]]
  askClient: [question: { invite: string }, answer: boolean]
}

async function chat(client: selvedge.Client): Promise<void> {
  const listener = client.socket.listen<Chat>('chat')
  listener.on('connection', socket => {
    socket.on('data', ({ text }, headers) => {
      const upper: string = text.toUpperCase()
      listener.write({ from: socket.id, text: upper }, { headers })
      // @ts-expect-error what clients write has no such field
      text.from
      // @ts-expect-error a server writes whom it is from
      socket.write({ text })
    })
    socket.on('request', message => {
      const question: 'who' = message.data
      void message.respond([question])
      void message.respond(new Error('nobody'))
      // @ts-expect-error the answer is a list
      void message.respond('me')
    })
  })
  listener.handle((question, { signal }) => (question === 'who' && !signal.aborted ? ['ann'] : []))
  // @ts-expect-error the answer is a list
  listener.handle(() => 'me')
  const invited = await listener.request({ invite: 'ann' }, { race: true })
  const yes: boolean = invited.data
  // @ts-expect-error a server asks something else
  await listener.request('who')

  const socket = client.socket.connect<Chat>('chat')
  socket.write({ text: 'hello' })
  socket.write(selvedge.messageData({ text: 'encoded once' }))
  await socket.send({ text: 'handled' })
  for await (const [{ from, text }] of socket) if (from === 'ann') console.log(text.length, yes)
  const names: string[] = (await socket.request('who', { timeout: 500 })).data
  socket.on('request', async message => await message.respond(message.data.invite === names[0]))
  socket.handle(async ({ invite }) => invite === 'ann')
  const { readable, writable } = socket.toWeb()
  for await (const { from, text } of readable) console.log(from.length, text.length)
  await writable.getWriter().write({ text: 'hello' })
  // @ts-expect-error a message of the chat has a text
  await writable.getWriter().write('hello')
  // @ts-expect-error a message of the chat has a text
  socket.write('hello')
  // @ts-expect-error nor is it another type when it is encoded
  socket.write(selvedge.messageData({ words: 1 }))
  // @ts-expect-error no such question
  await socket.request('what')
  // @ts-expect-error no such event
  socket.on('message', () => {})
  // @ts-expect-error no such event
  socket.once('disconect', reason => console.log(reason))
  // @ts-expect-error no such event
  listener.on('conection', one => one)
  // @ts-expect-error no such event
  listener.room('lobby').on('jion', () => {})
  // @ts-expect-error no such event
  client.on('connect', () => {})
  // @ts-expect-error no such event
  client.emit('conected')
  // @ts-expect-error no such event
  selvedge.watchRoom(socket, 'lobby').off('left', () => {})
  // @ts-expect-error no such event
  new selvedge.ConatServer().on('listening', () => {})

  // Rooms carry what the server writes.
  listener.use(async one => {
    one.data.name = (await one.request({ invite: 'you' })).data
  })
  listener.to('lobby').except('bob').write({ from: 'ann', text: 'hello' })
  const { delivered }: { delivered: number } = await listener
    .to('lobby')
    .send({ from: 'ann', text: `${yes}` })
  listener.room('lobby').on('leave', (member, reason: 'left' | 'closed' | 'server-left' | 'server-lost') => {
    console.log(member.key, member.sockets.length, reason, delivered)
  })
  // @ts-expect-error a server writes whom it is from
  listener.to('lobby').write({ text: 'hello' })
  for await (const answer of listener.to('lobby').except('bob').request({ invite: 'all' })) {
    const isIn: boolean = answer instanceof selvedge.FabricError ? false : answer.data
    console.log(isIn)
  }
  // @ts-expect-error a server asks something else
  listener.to('lobby').request('who')
  listener.to('lobby').close(new selvedge.FabricError('over', 403))
  const mood: string = listener.room<{ mood: string }>('lobby').members.get('ann')?.data.mood ?? ''
  const view = selvedge.watchRoom<{ mood: string }>(socket, 'lobby')
  view.on('join', ({ data }) => data.mood === mood)
  // @ts-expect-error members have no such data
  view.members.get('ann')?.data.age
  // @ts-expect-error headers go into { headers }
  await socket.send({ text: 'hello' }, { n: 1 })

  // Two types instead: what is read, and what is written.
  const plain = client.socket.connect<number, string>('sums')
  plain.on('data', sum => plain.write(sum.toFixed(2)))
  // @ts-expect-error it writes texts
  plain.write(1)
  // @ts-expect-error a contract has no such part
  client.socket.connect<{ toNobody: 1 }>('chat')
  // @ts-expect-error one letter is missing
  client.socket.listen<{ toSever: string; toClient: number }>('chat')
  // @ts-expect-error `askServer`
  client.socket.connect<{ toServer: string; asksServer: [1, 2] }>('chat')

  // What is not named can be anything.
  const half = client.socket.connect<{ toClient: number }>('half')
  half.on('data', value => half.write({ anything: value * 2 }))
  const loose = client.socket.connect('loose')
  loose.on('data', data => loose.write(data.whatever))
}

// What a program emits itself has to be declared.
declare module 'selvedge' {
  interface OwnEvents {
    saved: [id: string]
  }
}

function own(client: selvedge.Client, room: selvedge.Room): void {
  client.on('saved', id => id.length)
  room.emit('saved', 'a')
  room.on('newListener', name => name.toString())
  for (const name of ['join', 'leave'] as const) room.on(name, (member: selvedge.RoomMember) => member.key)
  // @ts-expect-error an id is a text
  client.emit('saved', 1)
  const emitter: EventEmitter = client
  void emitter
  void once(client, 'connected')
}

interface Order {
  id: number
  items: string[]
}

async function messages(client: selvedge.Client): Promise<void> {
  const orders = await client.subscribe<Order>('orders.*')
  orders.emitter.on('message', ({ data }) => data.items.length)
  for await (const { data, subject } of orders) {
    const items: string[] = data.items
    console.log(subject, items)
    // @ts-expect-error an order has no price
    data.price
  }
  for await (const { data } of orders.toWeb()) console.log(data.items.length)
  await client.publish<Order>('orders.new', { id: 1, items: [] })
  // @ts-expect-error an order has items
  await client.publish<Order>('orders.new', { id: 1 })
  const { data: sum } = await client.request<number, [number, number]>('add', [1, 2])
  const perhaps: selvedge.Message<number> | undefined = await client.request<number>('add', [1], {
    noThrow: true,
  })
  // @ts-expect-error two numbers are asked
  await client.request<number, [number, number]>('add', [1])
  for await (const { data } of client.requestMany<number>('add', [1, 2])) console.log(data + sum, perhaps)
}

interface Maths {
  add(a: number, b: number): number
  slow(n: number): Promise<string>
}

async function services(client: selvedge.Client, signal: AbortSignal): Promise<void> {
  await client.service<Maths>('math', {
    async add(a, b) {
      return a + b + this.subject.length
    },
    slow: n => `${n}`,
  })
  // @ts-expect-error a method is missing
  await client.service<Maths>('math', { add: (a, b) => a + b })
  // @ts-expect-error it returns something else
  await client.service<Maths>('math', { add: () => 'three', slow: () => '' })
  const math = client.call<Maths>('math')
  const sum: number = await selvedge.withOptions(math, { signal, timeout: 500 }).add(1, 2)
  const text: string = await math.slow(sum)
  // @ts-expect-error no such option
  selvedge.withOptions(math, { timeuot: 1 })
  // @ts-expect-error it takes numbers
  await math.add('1', text)
}

/** Under `exactOptionalPropertyTypes`, too: what a program may not have counts as absent. */
function absent(client: selvedge.Client, signal: AbortSignal | undefined, timeout: number | undefined): void {
  const options: selvedge.RequestOptions = { signal, timeout }
  client.socket.connect('a', { signal, timeout, id: undefined })
  void client.interest('a', { signal })
  void client.request('a', 1, options)
}

function codes(error: unknown): string {
  if (selvedge.hasCode(error, 408, 503)) {
    const code: 408 | 503 = error.code
    return `${code}`
  }
  if (selvedge.hasCode(error, 'EPIPE')) {
    const code: 'EPIPE' = error.code
    return code
  }
  // An application's own.
  if (selvedge.hasCode(error, 'E_TOKEN', 1007)) {
    const code: 'E_TOKEN' | 1007 = error.code
    return `${code}`
  }
  // @ts-expect-error misspelt
  if (selvedge.hasCode(error, 503, 'ERR_REFUSD')) return ''
  const own: string = 'ERR_MINE'
  if (selvedge.hasCode(error, own)) return own
  // @ts-expect-error no code
  if (selvedge.hasCode(error, {})) return ''
  const all: selvedge.ErrorCode = 'ERR_REFUSED'
  return all
}

chat satisfies (client: selvedge.Client) => Promise<void>
messages satisfies (client: selvedge.Client) => Promise<void>
services satisfies (client: selvedge.Client, signal: AbortSignal) => Promise<void>
absent satisfies (client: selvedge.Client, signal: undefined, timeout: undefined) => void
codes satisfies (error: unknown) => string
own satisfies (client: selvedge.Client, room: selvedge.Room) => void
