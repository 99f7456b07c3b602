// Our broker and our client frame by frame, against the conversation that was recorded from the original.
import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { io } from 'socket.io-client'
import { WebSocket, WebSocketServer } from 'ws'
import { Client, type ConatServer, init } from '../../lib'
import { decode, encode } from './peers/wire'

const NIL = Buffer.from([0xc0])

/** One end of a connection, as frames: text as a string, binary as a Buffer. */
class Frames {
  readonly #arrived: (string | Buffer)[] = []
  readonly #events = new EventEmitter()

  constructor(readonly socket: WebSocket) {
    socket.on('message', (bytes: Buffer, isBinary) => {
      this.#arrived.push(isBinary ? bytes : bytes.toString())
      this.#events.emit('frame')
    })
  }

  send(...frames: (string | Buffer)[]): void {
    for (const frame of frames) this.socket.send(frame)
  }

  async next(): Promise<string | Buffer> {
    while (this.#arrived.length === 0) await once(this.#events, 'frame')
    return this.#arrived.shift()!
  }

  /** Takes the next event: its packet type, acknowledgement id and arguments; a payload is decoded in its place. */
  async event(): Promise<{ id: string; name: string; argument: any }> {
    const text = String(await this.next())
    const [, attachments, id, json] = /^4(?:2|5(\d+)-)(\d*)(\[.*)$/.exec(text) ?? [text]
    if (json === undefined) throw Error(`not an event: ${text}`)
    const bytes = attachments === undefined ? undefined : await this.next()
    const [name, argument] = JSON.parse(json, (_, value) =>
      value?._placeholder === true ? decode(0, bytes as Buffer) : value,
    )
    return { id: id!, name, argument }
  }
}

describe('our broker, frame by frame', () => {
  let broker: ConatServer
  let frames: Frames
  const url = () => `ws://127.0.0.1:${broker.address()!.port}/conat/?EIO=4&transport=websocket`
  const publish = (id: string, subject: string, payload: Buffer, headers: string) =>
    [
      `451-${id}["publish",["${subject}","aB3dE6gH9k",0,1,0,{"_placeholder":true,"num":0}${headers}]]`,
      payload,
    ] as const
  const delivered = (pattern: string, subject: string, headers: string) =>
    `451-["${pattern}",{"subject":"${subject}","data":["aB3dE6gH9k",0,1,0,{"_placeholder":true,"num":0}${headers}]}]`

  beforeEach(async () => {
    broker = init({ port: 0, host: '127.0.0.1', maxSubscriptionsPerClient: 5 })
    await broker.waitUntilReady()
    frames = new Frames(new WebSocket(url(), { perMessageDeflate: false }))
    expect(await frames.next()).toMatch(
      /^0\{"sid":"[^"]+","upgrades":\[\],"pingInterval":25000,"pingTimeout":20000,/,
    )
    frames.send('40')
    expect(await frames.next()).toMatch(/^40\{"sid":"[^"]+"\}$/)
    expect(await frames.next()).toBe('420["info",{"max_payload":8000000,"id":"0","user":null}]')
    frames.send('430[]')
  })

  afterEach(async () => {
    frames.socket.terminate()
    await broker.close()
  })

  test('the recorded conversation gets the recorded acknowledgements and deliveries', async () => {
    const subscribe = async (id: number, subject: string) => {
      frames.send(`42${id}["subscribe",{"subject":"${subject}","queue":"gPbrF5NYuT"}]`)
      expect(await frames.next()).toBe(`43${id}[{"status":"added"}]`)
    }
    await subscribe(0, '_INBOX.N9HgiP82IQ.*')
    await subscribe(1, 'conat.io.server.status')
    await subscribe(2, 'conat.io.server.7tGHtxAKss.*')
    const headers = ',{"CN-Reply":"_INBOX.N9HgiP82IQ.QGgL3n42m0"}'
    frames.send(...publish('3', 'conat.io.server.status', NIL, headers))
    // Delivery and acknowledgement travel on their own; each is there once, as it was.
    const got = [await frames.next(), await frames.next(), await frames.next()]
    expect(got).toContain('433[{"count":1}]')
    expect(got).toContainEqual(NIL)
    expect(got).toContain(delivered('conat.io.server.status', 'conat.io.server.status', headers))
    // Without an id there is no acknowledgement.
    const answer = Buffer.from(encode({ id: '7tGHtxAKss' }))
    frames.send(...publish('', '_INBOX.N9HgiP82IQ.QGgL3n42m0', answer, ''))
    expect(await frames.next()).toBe(delivered('_INBOX.N9HgiP82IQ.*', '_INBOX.N9HgiP82IQ.QGgL3n42m0', ''))
    expect(await frames.next()).toEqual(answer)
    // Headers are handed on as they came.
    const connect = ',{"CN-SocketCmd":"connect","id":"So06srZN18","CN-Reply":"_INBOX.N9HgiP82IQ.VHcWVqVS9g"}'
    frames.send(...publish('', 'conat.io.server.7tGHtxAKss.So06srZN18', NIL, connect))
    expect(await frames.next()).toBe(
      delivered('conat.io.server.7tGHtxAKss.*', 'conat.io.server.7tGHtxAKss.So06srZN18', connect),
    )
    await frames.next()
    frames.send('4214["wait-for-interest",{"subject":"conat.io.client.So06srZN18","timeout":5000}]')
    frames.send('4212["subscribe",{"subject":"conat.io.client.So06srZN18","queue":"Z1VOdEnwsM"}]')
    expect([await frames.next(), await frames.next()].sort()).toEqual([
      '4312[{"status":"added"}]',
      '4314[true]',
    ])
    frames.send('42["unsubscribe",{"subject":"conat.io.client.So06srZN18"}]')
    frames.send(...publish('15', 'conat.io.client.So06srZN18', NIL, ',{"CN-SocketCmd":"close"}'))
    expect(await frames.next()).toBe('4315[{"count":0}]')
  })

  test.each<[string, string, unknown]>([
    ['a pattern twice', '{"subject":"a","queue":"1"}', '{"status":"already-added"}'],
    ['with another queue', '{"subject":"a","queue":"2"}', '{"status":"already-added"}'],
    [
      'a list',
      '[{"subject":"a","queue":"1"},{"subject":"b","queue":"1"}]',
      '[{"status":"already-added"},{"status":"added"}]',
    ],
    ['an empty list', '[]', '[]'],
    ['without a queue', '{"subject":"c"}', expect.stringMatching(/^\{"error":".*queue/)],
    ['an invalid pattern', '{"subject":"a..b","queue":"1"}', expect.stringMatching(/^\{"error":".*invalid/)],
    ...['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener'].map(
      (name): [string, string, unknown] => [
        `the name ${name}`,
        `{"subject":"${name}","queue":"1"}`,
        expect.stringMatching(/^\{"error":"/),
      ],
    ),
    ['info, a name like any other', '{"subject":"info","queue":"1"}', '{"status":"added"}'],
  ])('subscribe: %s', async (_, argument, expected) => {
    frames.send('420["subscribe",{"subject":"a","queue":"1"}]')
    expect(await frames.next()).toBe('430[{"status":"added"}]')
    frames.send(`421["subscribe",${argument}]`)
    const [, answer] = /^431\[(.*)\]$/.exec(String(await frames.next()))!
    expect(answer).toEqual(expected)
  })

  test('unsubscribe, subscriptions, cluster and waits answer in their shapes', async () => {
    for (const [sent, answer] of [
      [
        '["subscribe",[{"subject":"a","queue":"1"},{"subject":"b.*","queue":"1"}]]',
        '[{"status":"added"},{"status":"added"}]',
      ],
      ['["subscriptions",null]', '["a","b.*"]'],
      ['["unsubscribe",{"subject":"a"}]', 'null'],
      ['["unsubscribe",[{"subject":"b.*"},{"subject":"never"}]]', '[null,null]'],
      ['["subscriptions",null]', '[]'],
      ['["wait-for-interest",{"subject":"a","timeout":0}]', 'false'],
      ['["wait-for-interest",{"subject":"a","timeout":30}]', 'false'],
      ['["subscribe",{"subject":">","queue":"1"}]', '{"status":"added"}'],
      ['["wait-for-interest",{"subject":"a","timeout":0}]', 'false'],
      ['["subscribe",{"subject":"*","queue":"1"}]', '{"status":"added"}'],
      ['["wait-for-interest",{"subject":"a","timeout":5000}]', 'true'],
    ]) {
      frames.send(`427${sent}`)
      expect(await frames.next()).toBe(`437[${answer}]`)
    }
    frames.send('427["cluster"]')
    expect(await frames.next()).toMatch(/^437\[\[.*\]\]$/)
  })

  test('refuses the subscription over the limit, in words', async () => {
    for (const i of [0, 1, 2, 3, 4]) {
      frames.send(`42${i}["subscribe",{"subject":"s${i}","queue":"q"}]`)
      expect(await frames.next()).toBe(`43${i}[{"status":"added"}]`)
    }
    frames.send('425["subscribe",{"subject":"one.more","queue":"q"}]')
    const answer = String(await frames.next())
    expect(answer).toContain('there is a limit of at most 5 subscriptions')
    expect(JSON.parse(answer.slice(3))[0].code).toBe(429)
  })

  test('an invalid subject to publish to is answered, not punished', async () => {
    for (const subject of ['a.*', 'a.>', '.', 'a b', '']) {
      frames.send(...publish('8', subject, NIL, ''))
      expect(await frames.next()).toMatch(/^438\[\{"error":"Error: invalid subject"/)
    }
    frames.send('2')
    frames.send(...publish('9', 'a', NIL, ''))
    expect(await frames.next()).not.toBe('')
  })

  test('a client that polls is refused clearly, and so is a wrong path', async () => {
    const address = `http://127.0.0.1:${broker.address()!.port}`
    for (const [path, text] of [
      ['/conat', /xhr poll error|Transport unknown/],
      ['/elsewhere', /xhr poll error/],
    ] as const) {
      const socket = io(address, { path, reconnection: false, multiplex: false })
      const error = await new Promise<Error>(resolve => socket.once('connect_error', resolve))
      expect(error.message).toMatch(text)
      socket.close()
    }
    const polled = await fetch(`${address}/conat/?EIO=4&transport=polling`)
    expect([polled.status, await polled.json()]).toEqual([400, { code: 0, message: 'Transport unknown' }])
    const lost = await fetch(`${address}/socket.io/?EIO=4&transport=polling`)
    expect(lost.status).toBe(404)
  })
})

describe('our client, frame by frame', () => {
  const http = createServer()
  const server = new WebSocketServer({ server: http, perMessageDeflate: false })
  let client: Client
  let frames: Frames
  const ack = (id: string, answer: unknown) => frames.send(`43${id}${JSON.stringify([answer])}`)

  beforeAll(() => new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve)))
  afterAll(() => new Promise(resolve => http.close(resolve)))

  beforeEach(async () => {
    const connection = once(server, 'connection')
    client = new Client({ address: `http://127.0.0.1:${(http.address() as AddressInfo).port}/x/y` })
    const [socket, request] = await connection
    frames = new Frames(socket)
    expect(request.url).toBe('/x/y/conat/?EIO=4&transport=websocket')
    frames.send('0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":8000000}')
    expect(await frames.next()).toBe('40')
    frames.send('40{"sid":"t"}', '420["info",{"max_payload":8000000,"id":"0","user":null}]')
    const text = [await frames.next(), await frames.next()].map(String)
    expect(text).toContain('430[]')
    const inbox = /^42(\d+)\["subscribe",\[\{"subject":"_INBOX\.[^.]+\.\*","queue":"[^"]+"\}\]\]$/
    const [, id] = text.map(frame => inbox.exec(frame)).find(found => found !== null)!
    // A list, where the original sends one: brokers take either, and answer in kind.
    ack(id!, [{ status: 'added' }])
    await client.waitUntilReady()
  })

  afterEach(() => client.close())

  test('answers pings, and publishes in the recorded shape', async () => {
    frames.send('2')
    expect(await frames.next()).toBe('3')
    const published = client.publish('conat.io', 'hi', { headers: { my: 'header' } })
    const shape =
      /^451-(\d+)\["publish",\["conat\.io","\w+",0,1,0,\{"_placeholder":true,"num":0\},\{"my":"header"\}\]\]$/
    const [, id] = shape.exec(String(await frames.next()))!
    expect(await frames.next()).toEqual(Buffer.from('a26869', 'hex'))
    ack(id!, { count: 1 })
    expect(await published).toEqual({ bytes: 3, count: 1 })
    client.publishSync('conat.io', 'hi')
    expect(await frames.next()).toMatch(
      /^451-\["publish",\["conat\.io","\w+",0,1,0,\{"_placeholder":true,"num":0\}\]\]$/,
    )
    expect(await frames.next()).toEqual(Buffer.from('a26869', 'hex'))
  })

  test('connects, writes and closes a socket in the recorded order', async () => {
    const socket = client.socket.connect('conat.io', { id: 'So06srZN18' })
    const events = [await frames.event(), await frames.event()]
    const subscribe = events.find(event => event.name === 'subscribe')!
    expect(subscribe.argument).toEqual({ subject: 'conat.io.client.So06srZN18', queue: expect.any(String) })
    const status = events.find(event => event.name === 'publish')!.argument
    expect(status).toEqual([
      'conat.io.server.status',
      expect.any(String),
      0,
      1,
      0,
      null,
      { 'CN-Reply': expect.any(String) },
    ])
    ack(events.find(event => event.name === 'publish')!.id, { count: 1 })
    ack(subscribe.id, { status: 'added' })
    const inbox = status[6]['CN-Reply'].replace(/\.[^.]+$/, '.*')
    const answer = (subject: string, value: unknown) => {
      frames.send(
        `451-["${inbox}",{"subject":"${subject}","data":["aB3dE6gH9k",0,1,0,{"_placeholder":true,"num":0}]}]`,
      )
      frames.send(Buffer.from(encode(value)))
    }
    answer(status[6]['CN-Reply'], { id: '7tGHtxAKss' })
    const connect = await frames.event()
    const peer = 'conat.io.server.7tGHtxAKss.So06srZN18'
    const command = { 'CN-SocketCmd': 'connect', id: 'So06srZN18', 'CN-Reply': expect.any(String) }
    expect(connect.argument).toEqual([
      ...[peer, expect.any(String), 0, 1, 0, null],
      // Originals pass over the epoch and the rest, as over every header that is not theirs.
      {
        ...command,
        'CN-SocketConnectAttempt': 1,
        epoch: expect.any(Number),
        resume: false,
        stream: expect.any(Object),
      },
    ])
    ack(connect.id, { count: 1 })
    answer(connect.argument[6]['CN-Reply'], 'connected')
    await socket.waitUntilReady()
    socket.write('hi', { headers: { my: 'header' } })
    const written = await frames.event()
    expect(written.id).toBe('')
    expect(written.argument).toEqual([
      peer,
      expect.any(String),
      0,
      1,
      0,
      'hi',
      { my: 'header', 'CN-SocketSeq': 1 },
    ])
    socket.close()
    const closing = [await frames.event(), await frames.event()]
    expect(closing.find(event => event.name === 'unsubscribe')!.argument).toEqual({
      subject: 'conat.io.client.So06srZN18',
    })
    const close = closing.find(event => event.name === 'publish')!
    expect(close.argument).toEqual([
      ...[peer, expect.any(String), 0, 1, 0, null],
      // The same goes for its last report.
      { ...command, 'CN-SocketCmd': 'close', emitted: 0, epoch: expect.any(Number) },
    ])
  })
})
