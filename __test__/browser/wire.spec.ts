// What a page's client says and hears on the wire: the recorded frames, in which the engine's codec is held as well, and
// servers that lie.
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type WebSocket, WebSocketServer } from 'ws'
import { type Frame, FrameReader } from '../../lib/browser/wire/frame-reader'
import { FrameWriter } from '../../lib/browser/wire/frame-writer'
import type { Item, Publication } from '../../lib/browser/wire/publication'
import { dice } from '../support/dice'
import { closePages, pageClient } from './party'

const recorded = readFileSync(join(__dirname, '../../tests/data/fabric/frames.txt'), 'utf8')
  .split('\n')
  .filter(line => /^[<>] /.test(line))
  .map(line => ({ isBroker: line[0] === '<', shown: line.slice(2), bytes: bytesOf(line.slice(2)) }))
const fromBroker = recorded.filter(({ isBroker }) => isBroker).map(({ bytes }) => bytes)
const fromClient = recorded.filter(({ isBroker }) => !isBroker).map(({ bytes }) => slotless(bytes))

function bytesOf(shown: string): Buffer {
  return shown.startsWith('{') ? control(shown) : Buffer.from(shown, 'hex')
}

function frame(type: number, ...body: (number | string)[]): Buffer {
  const rest = Buffer.concat(
    body.map(part => (typeof part === 'number' ? Buffer.of(part) : Buffer.from(part))),
  )
  const head = Buffer.alloc(5)
  head.writeUInt32LE(rest.length + 1)
  head[4] = type
  return Buffer.concat([head, rest])
}

/** In hex; the slot of a PUBLISH is the writer's choice, and 0 here. */
function slotless(frame: Uint8Array): string {
  const bytes = Buffer.from(frame)
  if (bytes[4] === 1) {
    let at = 6
    // The number of the acknowledgement that is wanted.
    if (bytes[5]! & 1) while (bytes[at++]! & 0x80) {}
    bytes[at] = 0
  }
  return bytes.toString('hex')
}

function control(text: string): Buffer {
  return frame(6, text)
}

function read(parts: readonly Uint8Array[]): Frame[] {
  const [reader, frames] = [new FrameReader(), [] as Frame[]]
  for (const part of parts) reader.push(part, one => frames.push(one))
  return frames
}

describe('the recorded frames', () => {
  const hi = { encoding: 0, raw: Buffer.from('a26869', 'hex') }
  const json = Buffer.from('{"a":1}')

  test('of a broker are understood, however they are cut', () => {
    const frames = read(fromBroker)
    const delivered = frames.flatMap(one => (one.kind === 'deliver' ? [one] : []))
    const plain = { reply: undefined, command: undefined, attempt: undefined }
    const item = (raw: string, json: Buffer | null = null) => ({
      encoding: 0,
      raw: Buffer.from(raw, 'hex'),
      json,
    })
    expect(delivered).toEqual([
      expect.objectContaining({
        pattern: 'conat.*',
        message: { subject: 'conat.io', items: [item('a26869')] },
      }),
      expect.objectContaining({
        pattern: 'conat.*',
        message: {
          ...plain,
          subject: 'conat.io',
          seq: 5,
          items: [{ encoding: 1, raw: Buffer.from('true'), json: null }],
        },
      }),
      expect.objectContaining({
        pattern: 'conat.*',
        message: { subject: 'conat.io', items: [item('a26869'), item('a26869')] },
      }),
    ])
    expect(frames).toContainEqual({ kind: 'published', id: 300, count: 2 })
    expect(frames).toContainEqual({ kind: 'ping' })
    expect(frames).toContainEqual({
      kind: 'watched',
      changes: [
        { id: 3, what: 1, crowd: 1 },
        { id: 2, what: 3, crowd: 300 },
      ],
    })
    const told = recorded.filter(({ isBroker, shown }) => isBroker && shown.startsWith('{'))
    expect(frames.filter(one => one.kind === 'control')).toEqual(
      told.map(({ shown }) => ({ kind: 'control', operation: JSON.parse(shown) })),
    )
    const whole = Buffer.concat(fromBroker)
    expect(read([...whole].map(byte => Uint8Array.of(byte)))).toEqual(frames)
    expect(read([whole])).toEqual(frames)
  })

  test('of a client are what is written, byte for byte but for the slots', () => {
    const writer = new FrameWriter()
    const publish = (
      fields: Omit<Publication, 'items'>,
      items: readonly Item[],
      confirm?: { id: number; isRequest: boolean },
      chunkSize = 1000,
    ) => writer.publish({ ...fields, items }, confirm, chunkSize, () => 'm7')
    const plain = { ...hi, json: null }
    const said = [
      writer.control({ op: 'info-received' }),
      ...publish({ subject: 'conat.io' }, [plain], { id: 300, isRequest: false }),
      ...publish({ subject: 'conat.io' }, [plain]),
      ...publish({ subject: 'conat.io' }, [plain], { id: 300, isRequest: true }),
      ...publish({ subject: 'conat.io', reply: '_INBOX.a', command: 'connect', seq: 1, attempt: 200 }, [
        { ...hi, json },
      ]),
      ...publish({ subject: 'conat.io', seq: 5 }, [plain, { ...hi, json }]),
      writer.pong(),
      writer.watch([{ id: 3, subject: 'a.client.b' }, { id: 2 }]),
      writer.control({ op: 'leaving' }),
    ]
    for (const bytes of said) expect(fromClient).toContain(slotless(bytes))
    const chunk = publish(
      { subject: 'conat.io' },
      [{ ...hi, raw: Buffer.from('a26869a26869', 'hex'), json: null }],
      undefined,
      3,
    )
    const samples = recorded.filter(({ shown }) => /^0c0000000[1]/.test(shown))
    expect(chunk.map(slotless)).toEqual(samples.map(({ bytes }) => slotless(bytes)))
  })
})

const INFO = control('{"op":"info","maxPayload":8000000,"id":"0","instance":"0123456789abcdef","user":null}')
const PING = frame(4)

/** What a server says that lies: behind the greeting, unless it has one of its own. */
const LIES: Record<string, (Buffer | string)[]> = {
  'a text': ['hello'],
  'the wire of others': ['0{"sid":"x"}'],
  'a frame of 2 GiB': [Buffer.from('ffffff7f02', 'hex')],
  'a frame of nothing': [Buffer.alloc(4)],
  'a type that nobody knows': [INFO, frame(77)],
  'a type of clients': [INFO, frame(1, 0, 0, 'x')],
  'something before the greeting': [frame(3, 1, 1)],
  'a greeting without a size': [control('{"op":"info","id":"0"}')],
  'a greeting with a text for a size': [control('{"op":"info","maxPayload":"8"}')],
  'a greeting with a size below 0': [control('{"op":"info","maxPayload":-1}')],
  'a greeting twice, with another size': [INFO, control('{"op":"info","maxPayload":1}')],
  'a greeting with prototypes': [
    control('{"op":"info","maxPayload":8000,"__proto__":{"id":1},"user":{"__proto__":1}}'),
  ],
  'a refusal of nothing': [control('{"op":"info","maxPayload":8000,"refused":null}')],
  'a refusal that is a text': [control('{"op":"info","maxPayload":8000,"refused":"no"}')],
  'control that is no JSON': [INFO, control('{')],
  'control that is no UTF-8': [INFO, frame(6, 0xff, 0xfe)],
  'control that is null': [INFO, control('null')],
  'control that is a list': [INFO, control('[1]')],
  'control without an operation': [INFO, control('{}')],
  'an operation that nobody knows': [INFO, control('{"op":"toString"}')],
  'a slot without a name': [INFO, frame(2, 0, 7, 7, 0, 'x')],
  'flags that nobody knows': [INFO, frame(2, 0x80)],
  'a name with half a character': [INFO, frame(2, 6, 7, 1, 0, 0xc3, 7, 1, 0, 'x', 0)],
  'a name that is cut': [INFO, frame(2, 6, 7, 255, 255, 'x')],
  'a message for no subscription': [INFO, frame(2, 6, 7, 1, 0, 'x', 7, 1, 0, 'y', 0, 'z')],
  'a bundle of 300': [INFO, frame(2, 38, 7, 1, 0, 'x', 7, 1, 0, 'y', 0xac, 2)],
  'a bundle of nothing': [INFO, frame(2, 38, 7, 1, 0, 'x', 7, 1, 0, 'y', 0)],
  'an answer to nothing': [INFO, frame(3, 0xac, 2, 1)],
  'an answer without a count': [INFO, frame(3, 1)],
  'an answer with a number without end': [INFO, frame(3, ...new Array<number>(20).fill(0xff))],
  'a watch that nobody began': [INFO, frame(8, 9, 1)],
  'a watch that is cut': [INFO, frame(8, 9)],
  'statuses that are none': [INFO, control('{"op":"subscribed","ack":0,"statuses":null}')],
  'statuses for nothing': [
    INFO,
    control('{"op":"subscribed","ack":0,"statuses":["added","added","added","added"]}'),
  ],
  'statuses of a wrong kind': [INFO, control('{"op":"subscribed","ack":0,"statuses":[7,null,{}]}')],
  'an error without one': [INFO, control('{"op":"refused","ack":0}')],
  'an error of a wrong kind': [INFO, control('{"op":"refused","ack":0,"error":7}')],
  'a permission of nothing': [INFO, control('{"op":"permission"}')],
  'a successor of nothing': [INFO, control('{"op":"superseded"}')],
  'a closing of nothing': [INFO, control('{"op":"closing"}')],
  'an ack of a wrong kind': [INFO, control('{"op":"strings","ack":{"a":1},"strings":7}')],
}

/** What says nothing to this client, or nothing that it goes by. */
const PASSED_OVER = [
  'a greeting twice, with another size',
  'a greeting with prototypes',
  'control that is a list',
  'control without an operation',
  'an operation that nobody knows',
  'a message for no subscription',
  'an answer to nothing',
  'a watch that nobody began',
  'statuses that are none',
  'statuses for nothing',
  'statuses of a wrong kind',
  'an error without one',
  'an error of a wrong kind',
  'a permission of nothing',
  'a successor of nothing',
  'a closing of nothing',
  'an ack of a wrong kind',
]

/** A server that says one thing after the other, a connection each. Resolves when the client has left, or gone on. */
async function tellAll(lies: readonly (readonly (Buffer | string)[])[]): Promise<unknown[]> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await new Promise(resolve => server.once('listening', resolve))
  const told: Promise<unknown>[] = []
  let left = lies.length
  const all = new Promise<void>(resolve => {
    server.on('connection', socket => {
      const lie = lies[lies.length - left]
      if (lie === undefined) return
      left -= 1
      told.push(outcome(socket, lie))
      if (left === 0) resolve()
    })
  })
  const page = pageClient(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
  page.socket.connect('chat')
  page.subscribe('x', { timeout: 60_000 }).catch(() => {})
  page.request('a', 1, { timeout: 60_000 }).catch(() => {})
  await all
  const outcomes = await Promise.all(told)
  expect(page.state).not.toBe('closed')
  await closePages()
  for (const client of server.clients) client.terminate()
  await new Promise(resolve => server.close(resolve))
  return outcomes
}

/** What a client makes of a lie: it is gone, or it answers the ping behind it. */
function outcome(socket: WebSocket, lie: readonly (Buffer | string)[]): Promise<'left' | 'stayed'> {
  return new Promise(resolve => {
    socket.on('error', () => {})
    socket.on('close', () => resolve('left'))
    socket.on('message', data => {
      // A pong may stand behind others in a message.
      if (!(data as Buffer).includes(Buffer.from('0100000005', 'hex'))) return
      resolve('stayed')
      socket.terminate()
    })
    for (const part of [...lie, PING]) socket.send(part)
  })
}

describe('a server that lies', () => {
  const failures: unknown[] = []
  const note = (error: unknown): void => void failures.push(error)

  beforeEach(() => {
    failures.length = 0
    process.on('uncaughtException', note).on('unhandledRejection', note)
  })

  afterEach(async () => {
    await closePages()
    process.off('uncaughtException', note).off('unhandledRejection', note)
  })

  test('is left, or its lie is passed over; the client lives on', async () => {
    const outcomes = await tellAll(Object.values(LIES))
    expect(failures).toEqual([])
    const passedOver = Object.keys(LIES).filter((_, at) => outcomes[at] === 'stayed')
    expect(passedOver).toEqual(PASSED_OVER)
  }, 20_000)

  test('in any byte of what brokers say breaks nothing', async () => {
    const seed = Number(process.env.SELVEDGE_SEED ?? 1)
    const { below } = dice(seed)
    const lies = Array.from({ length: 100 }, () => {
      const bytes = Buffer.from(fromBroker[below(fromBroker.length)] as Buffer)
      for (let changes = 1 + below(3); changes > 0; changes -= 1)
        bytes[4 + below(bytes.length - 4)] = below(256)
      return [INFO, bytes]
    })
    await tellAll(lies)
    expect({ seed, failures }).toEqual({ seed, failures: [] })
  }, 20_000)
})
