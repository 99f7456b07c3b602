// Listeners of events that are never emitted: the process is warned, once for each name, where another one was probably meant.
import { EventEmitter } from 'node:events'
import { type Client, type ConatServer, init, watchRoom } from 'selvedge'

let broker: ConatServer
let client: Client
let emitters: Record<string, EventEmitter>
const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})

beforeAll(() => {
  broker = init({ port: null })
  client = broker.client()
  const listener = client.socket.listen('events')
  const socket = client.socket.connect('events')
  emitters = { client, broker, listener, socket, room: listener.room('a'), view: watchRoom(socket, 'a') }
})

afterAll(async () => {
  emitWarning.mockRestore()
  await client.close()
  await broker.close()
})

/** What listening for a name warns of. */
function warned(
  emitter: EventEmitter,
  name: string,
  how: 'on' | 'once' | 'prependListener' = 'on',
): unknown[] {
  emitWarning.mockClear()
  const listener = () => {}
  emitter[how](name, listener)
  emitter.off(name, listener)
  return emitWarning.mock.calls.map(([text, options]) =>
    (options as { code?: string }).code === 'SELVEDGE_UNKNOWN_EVENT' ? text : options,
  )
}

test.each([
  ['listener', 'conection', "a listener never emits 'conection'; did you mean 'connection'?"],
  ['listener', 'connect', "a listener never emits 'connect'; did you mean 'connection'?"],
  ['socket', 'message', "a socket never emits 'message'; did you mean 'data'?"],
  ['socket', 'dta', ''],
  ['socket', 'disconnect', "a socket never emits 'disconnect'; did you mean 'disconnected'?"],
  ['socket', 'connect_error', "a socket never emits 'connect_error'; did you mean 'closed'?"],
  ['room', 'jion', "a room never emits 'jion'; did you mean 'join'?"],
  ['view', 'left', "a view of a room never emits 'left'; did you mean 'leave'?"],
  ['client', 'connect_error', "a client never emits 'connect_error'; did you mean 'connectFailed'?"],
  ['client', 'conected', "a client never emits 'conected'; did you mean 'connected'?"],
  ['broker', 'listening', "a broker never emits 'listening'; did you mean 'ready'?"],
])('%s.on(%j)', (kind, name, text) => {
  const emitter = emitters[kind]!
  expect(warned(emitter, name)).toEqual(text === '' ? [] : [text])
  expect(warned(emitter, name, 'once')).toEqual([])
})

test("what is emitted, what a program emits itself, Node's own and Conat's names warn of nothing", () => {
  const quiet: unknown[] = []
  const names = [
    'error',
    'newListener',
    'removeListener',
    'saved',
    'gate',
    'stats',
    'cluster',
    'constructor',
    '__proto__',
  ]
  for (const emitter of Object.values(emitters))
    for (const name of names) quiet.push(...warned(emitter, name))
  const { socket, listener } = emitters
  for (const name of ['data', 'request', 'drain', 'renewed', 'ready', 'connecting', 'disconnected', 'closed'])
    quiet.push(...warned(socket!, name))
  for (const name of ['connection', 'peerLost', 'ready', 'connecting', 'disconnected', 'closed'])
    quiet.push(...warned(listener!, name))
  expect(quiet).toEqual([])
  // The view for programs that were written for Conat has the names of Socket.IO.
  expect(warned(client.conn, 'connect_error')).toEqual([])
  expect(client).toBeInstanceOf(EventEmitter)
})
