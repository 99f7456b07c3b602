// Our end and one that is written from the specification, in both roles, clear and over TLS.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import {
  type Connection,
  Draft,
  FileTransfer,
  type Message,
  MessageHandler,
  type Response,
  ResponseDraft,
} from 'selvedge/sockety'
import { closeAll, closed, next, pair, WAYS, type Way } from './pairs'
import { freshId, header, type Peer, packet } from './peer'

/** Of the file and the stream in the long tests. `SOCKETY_BYTES` makes them longer: 1 GiB before a release. */
const LONG_BYTES = Number(process.env.SOCKETY_BYTES ?? 48 * 1024 * 1024)
/** Of our end, in those. */
const WINDOW = { maxUnreadBytes: 1024 * 1024 }
/** What that window, the kernel and the streams of both ends may hold together. */
const MOST_UNDER_WAY = 20 * 1024 * 1024
const CHUNK = randomBytes(1 << 20)

afterEach(closeAll)

const echo = new MessageHandler()
  .action('echo', async message => {
    message.respond(new ResponseDraft().data()({ data: await message.dataBuffer() }))
  })
  .action('fast', () => 5)
  .use(() => 2)

/** Everything that our end gets, with its contents. */
async function contents(message: Message | Response): Promise<object> {
  const files: object[] = []
  for (const file of message.files) {
    const bytes = Buffer.concat(await file.toArray())
    files.push({ name: file.name, size: file.size, bytes: bytes.toString(), loaded: file.loaded })
  }
  const stream = message.stream && Buffer.concat(await message.stream.toArray()).toString()
  return { data: (await message.dataBuffer()).toString(), files, stream }
}

describe.each(WAYS)('%s', (_name, way: Way) => {
  test.each([0, 1, 255, 256, 8192, 8193, 65_535, 65_536, 1 << 20])(
    '%d bytes of data go there and back',
    async size => {
      const { ours, peer } = await pair(way)
      ours.on('message', echo)
      const data = randomBytes(size)
      const id = peer.send({ action: 'echo', data })
      expect((await peer.answerTo(id)).data.equals(data)).toBe(true)
      const request = ours.send(Draft.for('there').data()({ data }))
      const got = await peer.wait(({ action, done }) => action === 'there' && done)
      expect([got.id, got.data.equals(data), got.expects]).toEqual([request.id.toString(), true, true])
      peer.send({ parent: got.id, data })
      const response = (await request.response()) as Response
      expect([response.dataSize, (await response.dataBuffer()).equals(data)]).toEqual([size, true])
    },
  )

  test('fast replies with every width of a code', async () => {
    const { ours, peer } = await pair(way)
    for (const code of [0, 1, 15, 16, 255, 256, 4095]) {
      const request = ours.send(Draft.for('code')())
      await peer.wait(({ id }) => id === request.id.toString())
      peer.fastReply(request.id.toString(), code)
      expect(await request.response()).toBe(code)
    }
    ours.on('message', message => message.fastReply(Number(message.action)))
    for (const code of [0, 15, 16, 4095]) {
      const id = peer.send({ action: String(code) })
      expect((await peer.answerTo(id)).code).toBe(code)
    }
  })

  test('a response to a response, and messages that want none', async () => {
    const { ours, peer } = await pair(way)
    const asked = next<Message>(ours, 'message')
    const first = peer.send({ action: 'a' })
    const request = (await asked).respond(new ResponseDraft().data('one')())
    const one = await peer.answerTo(first)
    expect([one.kind, one.data.toString(), one.expects]).toEqual(['response', 'one', true])
    const two = peer.send({ parent: one.id, data: Buffer.from('two') })
    const response = (await request.response()) as Response
    expect([response.id.toString(), response.parentId.toString()]).toEqual([two, one.id])
    await response.fastReply(7)
    expect((await peer.answerTo(two)).code).toBe(7)
    await ours.pass(Draft.for('quiet')())
    expect((await peer.wait(got => got.action === 'quiet')).expects).toBe(false)
  })

  test('files: in memory, from streams, empty, and with names of any kind', async () => {
    const { ours, peer } = await pair(way)
    const asked = next<Message>(ours, 'message')
    peer.send({
      action: 'up',
      data: Buffer.from('D'),
      files: [
        { name: 'a.txt', content: Buffer.from('abc') },
        { name: 'ż'.repeat(200), content: Buffer.alloc(0) },
        { name: '../x', content: Buffer.from('x'.repeat(300)) },
      ],
    })
    const message = await asked
    expect([message.filesCount, message.totalFilesSize]).toEqual([3, 303])
    expect(await contents(message)).toEqual({
      data: 'D',
      stream: null,
      files: [
        { name: 'a.txt', size: 3, bytes: 'abc', loaded: true },
        { name: 'ż'.repeat(200), size: 0, bytes: '', loaded: true },
        { name: '../x', size: 300, bytes: 'x'.repeat(300), loaded: true },
      ],
    })
    const own = await FileTransfer.fs(__filename)
    const files = [
      FileTransfer.buffer(Buffer.from('abc'), 'a'),
      FileTransfer.stream(Readable.from([Buffer.from('xy'), Buffer.from('z')]), 3, 'b'),
      { name: 'c', buffer: Buffer.alloc(0) },
      own,
    ]
    const request = ours.send(Draft.for('files').files()({ files }))
    const got = await peer.wait(({ action, done }) => action === 'files' && done)
    expect(got.files.map(({ name, content }) => [name, content.length])).toEqual([
      ['a', 3],
      ['b', 3],
      ['c', 0],
      ['peer.spec.ts', own.size],
    ])
    expect(got.files[1]!.content.toString()).toBe('xyz')
    expect(await request.sent()).toBe(request)
  })

  test('streams both ways on one message, and what was written in one tick comes in one packet', async () => {
    const { ours, peer } = await pair(way)
    const request = ours.send(Draft.for('talk').data('D').stream()())
    await request.sent()
    const stream = request.stream!
    stream.write('ab')
    stream.write('cd')
    stream.end('ef')
    const got = await peer.wait(({ action, done }) => action === 'talk' && done)
    expect([got.data.toString(), got.stream!.toString()]).toEqual(['D', 'abcdef'])
    peer.send({ parent: got.id, stream: [Buffer.from('gh'), Buffer.from('ij')] })
    expect(await contents((await request.response()) as Response)).toEqual({
      data: '',
      files: [],
      stream: 'ghij',
    })
    await ours.pass(Draft.for('closed at once').stream()())
    expect((await peer.wait(({ action }) => action === 'closed at once')).streamEnded).toBe(true)
  })

  test.each([
    ['e0', 1],
    ['e1 02', 2],
    ['e1 10', 16],
    ['e1 ff', 255],
    ['e1 00', 256],
    ['e2 01 01', 257],
    ['e3', 4096],
  ])('300 messages at once to an end that says %s: %d channels', async (announced, channels) => {
    const { ours, peer } = await pair(way, {}, announced)
    const draft = Draft.for('many').data().stream()
    const requests = Array.from({ length: 300 }, (_, index) => {
      const request = ours.send(draft({ data: String(index) }))
      request.stream!.end(`${index}!`)
      return request
    })
    const all = new Set<string>()
    while (all.size < 300) {
      const got = await peer.wait(({ id, action, done }) => action === 'many' && done && !all.has(id))
      expect(got.channel).toBeLessThan(channels)
      expect(got.stream!.toString()).toBe(`${got.data}!`)
      all.add(got.id)
      peer.fastReply(got.id, Number(got.data))
    }
    const answers = await Promise.all(requests.map(request => request.response()))
    expect(answers).toEqual(Array.from({ length: 300 }, (_, index) => index))
  })

  test('4096 messages in progress at once, and the next one waits', async () => {
    const { ours, peer } = await pair(way)
    const open = Draft.for('open').stream()
    const requests = Array.from({ length: 4096 }, () => ours.send(open()))
    const late = ours.send(Draft.for('late')())
    await peer.wait(() => peer.got.length === 4096)
    expect(new Set(peer.got.map(({ channel }) => channel)).size).toBe(4096)
    expect(late.isSent()).toBe(false)
    requests[2000]!.stream!.end()
    expect((await peer.wait(({ action }) => action === 'late')).channel).toBe(2000)
    await late.sent()
    for (const { stream } of requests) stream!.end()

    let count = 0
    const streams: Promise<number>[] = []
    ours.on('message', message => {
      count += 1
      streams.push(message.stream!.toArray().then(chunks => Buffer.concat(chunks).length))
    })
    for (let channel = 0; channel < 4096; channel++) {
      const head = packet(0x22, header(freshId(), { action: 'theirs' }))
      peer.write(Buffer.concat([peer.switchTo(channel), head, packet(0x70, Buffer.from('ab'))]))
    }
    for (let channel = 4095; channel >= 0; channel--) {
      peer.write(Buffer.concat([peer.switchTo(channel), Buffer.from([0x80])]))
    }
    peer.send({ action: 'last', stream: [] })
    while (count < 4097) await once(ours, 'message')
    expect((await Promise.all(streams)).reduce((all, size) => all + size)).toBe(2 * 4096)
  }, 60_000)
})

describe('long', () => {
  test.each(WAYS)(
    `a file of ${LONG_BYTES} bytes, to a slow reader: %s`,
    async (_name, way: Way) => {
      const { ours, peer } = await pair(way, WINDOW)
      const asked = next<Message>(ours, 'message')
      const sum = createHash('sha256')
      let accepted = 0
      void sendLong(peer, bytes => {
        accepted += bytes
      }).then(digest => peer.emit('sum', digest))
      const digest = once(peer, 'sum')
      const [file] = (await asked).files
      let read = 0
      for await (const chunk of file!) {
        sum.update(chunk)
        read += (chunk as Buffer).length
        expect(accepted - peer.socket.writableLength - read).toBeLessThan(MOST_UNDER_WAY)
        await new Promise(setImmediate)
      }
      expect([read, sum.digest('hex')]).toEqual([LONG_BYTES, (await digest)[0]])
    },
    600_000,
  )

  test.each(WAYS)(
    `a stream of ${LONG_BYTES} bytes, to a slow reader: %s`,
    async (_name, way: Way) => {
      const { ours, peer } = await pair(way)
      peer.keeps = false
      const { stream } = ours.send(Draft.for('long').stream()())
      const got = await peer.wait(({ action }) => action === 'long')
      let written = 0
      const slow = setInterval(() => {
        // It reads in bursts, and has to find no more than what may be under way.
        peer.socket.isPaused() ? peer.socket.resume() : peer.socket.pause()
      }, 1)
      const source = Readable.from(
        (function* () {
          for (; written < LONG_BYTES; written += CHUNK.length) {
            expect(written - got.streamSize).toBeLessThan(MOST_UNDER_WAY)
            yield CHUNK
          }
        })(),
      )
      source.pipe(stream!)
      await once(stream!, 'finish')
      clearInterval(slow)
      peer.socket.resume()
      await peer.wait(({ action, done }) => action === 'long' && done)
      expect(got.streamSize).toBe(LONG_BYTES)
    },
    600_000,
  )

  test('a file from the file system of any size arrives whole', async () => {
    const { ours, peer } = await pair({ role: 'client', isSecure: false })
    const content = Buffer.alloc(3_000_001, 'f')
    const files = [FileTransfer.stream(Readable.from([content]), content.length, 'whole')]
    const request = ours.send(Draft.for('up').files()({ files }))
    const got = await peer.wait(({ done }) => done)
    await request.sent()
    expect(got.files[0]!.content.equals(content)).toBe(true)
  })
})

/** Sends one message with a long file, as fast as the connection takes it; returns the file's digest. */
async function sendLong(peer: Peer, accepted: (bytes: number) => void): Promise<string> {
  const sum = createHash('sha256')
  const announced = { name: 'long', content: { length: LONG_BYTES } as Buffer }
  peer.write(packet(0x21, header(freshId(), { action: 'long', files: [announced] })))
  for (let sent = 0; sent < LONG_BYTES; sent += CHUNK.length) {
    sum.update(CHUNK)
    accepted(CHUNK.length)
    if (!peer.write(packet(0xc0, CHUNK, 0))) await once(peer.socket, 'drain')
  }
  peer.write(Buffer.from([0xd0]))
  return sum.digest('hex')
}

describe.each(WAYS)('the end of a connection: %s', (_name, way: Way) => {
  /** What happens to our end, in order. */
  function events(ours: Connection): string[] {
    const seen: string[] = []
    ours.on('error', error => seen.push(`error: ${(error as { code?: string }).code}`))
    ours.on('timeout', () => seen.push('timeout'))
    ours.on('goAway', () => seen.push('goAway'))
    ours.on('close', () => seen.push('close'))
    return seen
  }

  test('a peer that says goodbye and half-closes', async () => {
    const { ours, peer } = await pair(way)
    const seen = events(ours)
    const waiting = ours.send(Draft.for('never')()).response()
    peer.raw('b0')
    peer.socket.end()
    await expect(waiting).rejects.toMatchObject({
      code: 'ERR_CLOSED',
      message: 'The connection has been closed',
    })
    await once(peer, 'close')
    expect([seen, ours.closeReason]).toEqual([['goAway', 'close'], null])
    expect(() => ours.send(Draft.for('late')())).toThrow('The connection is closed.')
    await expect(ours.ready()).rejects.toThrow('The connection is already closed')
  })

  test('what came whole before the end can be read after it', async () => {
    const { ours, peer } = await pair(way)
    const messages: Message[] = []
    ours.on('message', message => messages.push(message))
    const data = randomBytes(1 << 20)
    peer.send({ action: 'last', data, stream: [Buffer.from('and this')] })
    const cut = packet(0x23, header(freshId(), { action: 'cut', data: Buffer.alloc(10) }))
    peer.write(Buffer.concat([cut, packet(0xe0, Buffer.alloc(5)), packet(0x70, Buffer.alloc(3))]))
    while (messages.length < 2) await once(ours, 'message')
    const [message, cutShort] = messages as [Message, Message]
    const gone = closed(ours)
    peer.socket.end()
    await gone
    expect((await message.dataBuffer()).equals(data)).toBe(true)
    expect(Buffer.concat(await message.stream!.toArray()).toString()).toBe('and this')
    await expect(cutShort.dataBuffer()).rejects.toThrow('Message has been closed before data loaded')
    await expect(cutShort.stream!.toArray()).rejects.toThrow('Message has been closed before stream loaded')
  })

  test('our close brings everything that was sent, and says goodbye', async () => {
    const { ours, peer } = await pair(way)
    const seen = events(ours)
    const sent = ours.pass(Draft.for('last').data()({ data: randomBytes(5 << 20) }))
    const closing = ours.close()
    expect(() => ours.send(Draft.for('late')())).toThrow('The connection is closed.')
    const ended = once(peer, 'end')
    await Promise.all([sent, closing, ended])
    const [last] = peer.got
    expect([last!.action, last!.data.length, last!.done, peer.goAways]).toEqual(['last', 5 << 20, true, 1])
    expect([seen, ours.closeReason]).toEqual([['close'], null])
    await ours.close()
  })

  test('our close by force is at once', async () => {
    const { ours, peer } = await pair(way)
    const seen = events(ours)
    const request = ours.send(Draft.for('open').stream()())
    request.stream!.on('error', error => seen.push(error.message))
    const closing = ours.close(true)
    expect(seen).toEqual(['close'])
    await Promise.all([closing, once(peer, 'close')])
    await new Promise(setImmediate)
    expect(seen).toEqual(['close', 'The connection has been closed'])
    await expect(request.sent()).rejects.toThrow('The connection has been closed')
  })

  test('a reset is an error, and then the end', async () => {
    // Node.js cannot reset a connection with TLS.
    const { ours, peer } = await pair({ ...way, isSecure: false })
    const seen = events(ours)
    const gone = closed(ours)
    peer.socket.resetAndDestroy()
    await gone
    expect(seen).toEqual(['error: ECONNRESET', 'close'])
    expect(ours.closeReason).toMatchObject({ code: 'ECONNRESET' })
  })

  test('a silent peer is given up, and hears our heartbeats until then', async () => {
    const { ours, peer } = await pair(way, { timeout: 200 })
    const seen = events(ours)
    await closed(ours)
    expect(seen).toEqual(['timeout', 'error: ETIMEDOUT', 'close'])
    expect(peer.heartbeats).toBeGreaterThan(0)
  })

  test('a message that its sender gives up', async () => {
    const { ours, peer } = await pair(way)
    const asked = next<Message>(ours, 'message')
    const head = packet(0x23, header(freshId(), { action: 'up', data: Buffer.alloc(9) }))
    peer.write(Buffer.concat([head, packet(0xe0, Buffer.alloc(4)), packet(0x70, Buffer.alloc(3))]))
    const message = await asked
    const reading = message.stream!.toArray()
    peer.raw('90')
    await expect(reading).rejects.toMatchObject({
      code: 'ERR_SOCKETY_ABORTED',
      message: 'The incoming message was aborted',
    })
    await expect(message.dataBuffer()).rejects.toThrow('The incoming message was aborted')
    const again = next<Message>(ours, 'message')
    peer.send({ action: 'again' })
    expect((await again).action).toBe('again')

    const request = ours.send(Draft.for('given up').stream()())
    request.stream!.write('part of it')
    await peer.wait(({ streamSize }) => streamSize > 0)
    request.stream!.destroy()
    await peer.wait(({ action, aborted }) => action === 'given up' && aborted)
    const file = FileTransfer.stream(Readable.from([Buffer.from('short')]), 9, 'f')
    const short = ours.send(Draft.for('short').files([file])())
    await expect(short.sent()).rejects.toMatchObject({ code: 'ERR_SOCKETY_FILE_SIZE' })
    await peer.wait(({ action, aborted }) => action === 'short' && aborted)
    ours.send(Draft.for('and on')())
    expect((await peer.wait(({ action }) => action === 'and on')).channel).not.toBe(0)
  })
})
