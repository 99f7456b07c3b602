// The interface: both generations of the reference's, and what ours does where it was silent.
import { once } from 'node:events'
import { Readable } from 'node:stream'
import {
  type Connection,
  Draft,
  FastReply,
  FileTransfer,
  getResponseDescription,
  isKnownFastReply,
  type Message,
  type Request,
  type Response,
  ResponseDraft,
  series,
  UUID,
} from 'selvedge/sockety'
import { closeAll, closed, dial, listen, next, pair, portOf, WAYS } from './pairs'

const CLEAR = WAYS[0]![1]
/** Draft methods in any order, as JavaScript has them. */
const anyDraft = (action: string) => Draft.for(action) as any

afterEach(closeAll)

/** Two ends of ours. */
async function ends(options = {}): Promise<{ near: Connection; far: Connection }> {
  const server = await listen(options)
  const accepted = once(server, 'connection') as Promise<[Connection]>
  const near = await dial(portOf(server), options)
  return { near, far: (await accepted)[0] }
}

describe('drafts', () => {
  test('are functions and instances of their class, and change until they are called', async () => {
    const { ours, peer } = await pair(CLEAR)
    const draft = Draft.for('log').data()
    expect([typeof draft, draft instanceof Draft]).toEqual(['function', true])
    expect(draft.optimize()).toBe(draft.createFactory())
    const before = draft.optimize()
    draft.msgpack({ a: 1, b: [true, null, 1.5] })
    expect(draft.optimize()).not.toBe(before)
    await ours.pass((draft as any)())
    const { data } = await peer.wait(({ action }) => action === 'log')
    expect(data.toString('hex')).toBe('de0002a16101a16293c3c0cb3ff8000000000000')
  })

  test('say what is missing, and what is too long', async () => {
    const { ours } = await pair(CLEAR)
    expect(() => anyDraft('a').data()()).toThrow('The message requires "data" property.')
    expect(() => anyDraft('a').msgpack()({})).toThrow('The message requires "data" property.')
    expect(() => anyDraft('a').files()({})).toThrow('The message requires "files" property.')
    expect(() => anyDraft('a').data()({ data: 5 })).toThrow('must be a Buffer or a string')
    expect(() => Draft.for('a'.repeat(65_536))).toThrow("The 'action name' value is too big")
    expect(() => ours.send(Draft.for('a') as never)).toThrow(
      "Raw Draft's factory should be called to build the producer.",
    )
    expect(() => ours.send((() => {}) as never)).toThrow('producer must be what a called draft returns')
    expect(() => ours.send(series() as never)).toThrow('series and heartbeats go to pass()')
  })

  test('refuse what would be lost without a word', async () => {
    for (const [draft, input, text] of [
      [anyDraft('x'), { data: 'lost' }, 'takes no "data" property: the draft has no data()'],
      [anyDraft('x').data('mine'), { data: 'lost' }, 'takes no "data" property: the draft says what'],
      [anyDraft('x').data(), { data: 'a', files: [] }, 'takes no "files" property: the draft has no files()'],
      [new ResponseDraft() as any, { data: 'lost' }, 'takes no "data" property'],
      [anyDraft('x'), 'lost', 'input must be { data, files }, got string'],
      [anyDraft('x').data(), 'lost', 'input must be { data, files }, got string'],
    ]) {
      expect(() => draft(input)).toThrow(text)
    }
    expect(() => anyDraft('x').files()({ files: [FileTransfer.fs(__filename)] })).toThrow(
      'and not a promise: await FileTransfer.fs()',
    )
    const { ours, peer } = await pair(CLEAR)
    const files = [FileTransfer.stream(Readable.from([{ no: 'bytes' }]), 2, 'n')]
    const request = ours.send(Draft.for('objects').files(files)())
    await expect(request.sent()).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    await peer.wait(({ action, aborted }) => action === 'objects' && aborted)
    await expect(FileTransfer.fs(__dirname)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
  })

  test('a producer is sent as often as wanted, each time with a new id', async () => {
    const { ours, peer } = await pair(CLEAR)
    const producer = Draft.for('again').data('x')()
    const ids = [ours.send(producer), ours.send(producer)].map(({ id }) => id.toString())
    await peer.wait(() => peer.got.length === 2)
    expect(peer.got.map(({ id }) => id)).toEqual(ids)
    expect(ids[0]).not.toBe(ids[1])
    expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  test('a file from a stream is sent once', async () => {
    const { ours, peer } = await pair(CLEAR)
    const files = [FileTransfer.stream(Readable.from([Buffer.from('ab')]), 2, 'n')]
    const producer = Draft.for('once').files(files)()
    await ours.send(producer).sent()
    await peer.wait(({ done }) => done)
    expect(() => ours.send(producer)).toThrow('FileTransfer with stream may be used only once.')
    expect(() => FileTransfer.stream(Readable.from([]), 2 ** 48, 'n')).toThrow('must be an integer from 0')
    expect(() => FileTransfer.buffer(Buffer.alloc(0), 'n'.repeat(65_536))).toThrow(
      "The 'file name' value is too big",
    )
  })
})

describe('answers', () => {
  test('come late and early, to one and to several who ask', async () => {
    const { ours, peer } = await pair(CLEAR)
    const request = ours.send(Draft.for('a')())
    const asked = [request.response(), request.response()]
    await peer.wait(({ action }) => action === 'a')
    peer.fastReply(request.id.toString(), 4)
    expect(await Promise.all(asked)).toEqual([4, 4])
    expect(await request.response()).toBe(4)
    const second = next<Response>(ours, 'response')
    peer.send({ parent: request.id.toString(), data: Buffer.from('more') })
    expect((await (await second).dataBuffer()).toString()).toBe('more')
    expect(await request.response()).toBe(4)
  })

  test('are waited for as long as wanted', async () => {
    const { ours, peer } = await pair(CLEAR)
    const request = ours.send(Draft.for('a')())
    await expect(request.response({ timeout: 20 })).rejects.toMatchObject({ code: 408 })
    const stop = new AbortController()
    const waiting = request.response({ signal: stop.signal })
    stop.abort(Error('no longer'))
    const aborted = { name: 'AbortError', code: 'ABORT_ERR', cause: { message: 'no longer' } }
    await expect(waiting).rejects.toMatchObject(aborted)
    await expect(request.response({ signal: stop.signal })).rejects.toMatchObject(aborted)
    await expect(request.response({ timeout: -1 })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    await expect(request.response({ time: 1 } as never)).rejects.toMatchObject({ code: 'ERR_UNKNOWN_OPTION' })
    await peer.wait(({ action }) => action === 'a')
    peer.fastReply(request.id.toString(), 0)
    expect(await request.response({ timeout: 5000 })).toBe(0)
  })

  test('to responses are found by whoever asks, before it comes or after', async () => {
    const { ours, peer } = await pair(CLEAR)
    const responses: ReturnType<Message['respond']>[] = []
    ours.on('message', message => responses.push(message.respond({})))
    for (let n = 0; n < 3; n++) peer.send({ action: 'a' })
    await peer.wait(() => peer.got.length === 3)
    const [early, late, unasked] = responses as [Request, Request, Request]
    const asked = early.response()
    peer.fastReply(early.id.toString(), 7)
    expect(await asked).toBe(7)
    const told = once(ours, 'fastReply')
    peer.fastReply(late.id.toString(), 8)
    await told
    expect([await late.response(), await early.response()]).toEqual([8, 7])
    const waiting = late.response()
    peer.socket.destroy()
    await closed(ours)
    expect(await waiting).toBe(8)
    await expect(unasked.response()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })

  test('that nobody waits for any more are kept for a while, and are no request that counts', async () => {
    const { ours, peer } = await pair(CLEAR)
    const request = ours.send(Draft.for('a')())
    await expect(request.response({ timeout: 1 })).rejects.toMatchObject({ code: 408 })
    const told = once(ours, 'fastReply')
    peer.fastReply(request.id.toString(), 3)
    await told
    expect(await request.response()).toBe(3)
    // The place of the one that was given up is another's.
    const other = ours.send(Draft.for('b')())
    const late = ours.send(Draft.for('c')())
    await expect(late.response({ timeout: 1 })).rejects.toMatchObject({ code: 408 })
    const next = ours.send(Draft.for('d')())
    for (const [code, { id }] of [other, late, next].entries()) peer.fastReply(id.toString(), code)
    expect(await Promise.all([other.response(), late.response(), next.response()])).toEqual([0, 1, 2])
  })

  test('to messages of others are told, and change nothing', async () => {
    const { ours, peer } = await pair(CLEAR)
    const told = once(ours, 'fastReply')
    peer.fastReply('11111111-2222-4333-8444-555555555555', 9)
    const [uuid, code] = await told
    expect([String(uuid), code]).toEqual(['11111111-2222-4333-8444-555555555555', 9])
  })

  test('in the first generation: an object, and a stream', async () => {
    const { near, far } = await ends()
    far.on('message', async (message: Message) => {
      const files = message.files().map(file => file.name)
      const response = message.respond(
        { data: files.join(), files: [{ name: 'f', buffer: Buffer.from('content') }] },
        true,
      )
      await response.sent()
      response.stream!.write('a')
      response.stream!.end('b')
    })
    const up = Draft.for('up').files()
    const files = [
      { name: 'x', buffer: Buffer.from('1') },
      { name: 'y', stream: Readable.from([Buffer.from('22')]), size: 2 },
    ]
    const response = (await near.send(up({ files })).response()) as Response
    expect((await response.dataBuffer()).toString()).toBe('x,y')
    expect(Buffer.concat(await response.files[0]!.toArray()).toString()).toBe('content')
    expect(Buffer.concat(await response.stream!.toArray()).toString()).toBe('ab')
    expect(() => (far as any).send(1)).toThrow()
  })

  test('leave when their files do, however long the caller waits for that', async () => {
    const { near, far } = await ends()
    far.on('message', async message => {
      for (const file of message.files) await file.toArray()
      await message.accept()
    })
    const slow = new Readable({ read: () => {} })
    const request = near.send(Draft.for('up').files()({ files: [{ name: 'f', stream: slow, size: 3 }] }))
    await expect(request.sent({ timeout: 10 })).rejects.toMatchObject({ code: 408 })
    const signal = AbortSignal.abort('why')
    await expect(request.sent({ signal })).rejects.toMatchObject({ code: 'ABORT_ERR', cause: 'why' })
    const sent = request.sent({ timeout: 60_000 })
    slow.push('abc')
    slow.push(null)
    expect(await sent).toBe(request)
    expect(await request.response()).toBe(0)
  })

  test('do not come to a message whose file cannot be read, and whoever waits is told', async () => {
    const { near, far } = await ends()
    far.on('message', async message => {
      for (const file of message.files) await file.toArray()
      await message.accept()
    })
    const failing = new Readable({ read: () => failing.destroy(new Error('the disk is gone')) })
    const files = [{ name: 'f', stream: failing, size: 3 }]
    const request = near.send(Draft.for('up').files()({ files }))
    const asked = request.response()
    await expect(request.sent()).rejects.toThrow('the disk is gone')
    await expect(asked).rejects.toThrow('the disk is gone')
    await expect(request.response()).rejects.toThrow('the disk is gone')
    expect(await near.send(Draft.for('next')()).response()).toBe(0)
  })

  test('refuse codes that do not exist, and drafts that were not called', async () => {
    const { near, far } = await ends()
    const asked = next<Message>(far, 'message')
    const request = near.send(Draft.for('a')())
    const message = await asked
    await expect(message.fastReply(4096)).rejects.toThrow('Invalid short response code.')
    await expect(message.fastReply(1.5)).rejects.toThrow('Invalid short response code.')
    expect(() => message.respond(new ResponseDraft() as never)).toThrow(
      "Raw ResponseDraft's factory should be called to build the producer.",
    )
    expect(() => message.respond({ sum: 7 } as never)).toThrow(
      'A response has data and files, no "sum" property.',
    )
    expect(message.responded).toBe(false)
    await message.reject()
    expect([message.responded, await request.response()]).toEqual([true, FastReply.Reject])
  })
})

describe('what a message has', () => {
  test('is there as promised, and files are an array that can be called', async () => {
    const { near, far } = await ends()
    const asked = next<Message>(far, 'message')
    const files = ['a', 'b', 'c'].map(name => ({ name, buffer: Buffer.from(name) }))
    near
      .send(
        Draft.for('all')
          .msgpack({ deep: [1] })
          .files(files)
          .stream()(),
      )
      .stream!.end('s')
    const message = await asked
    expect([message.action, message.expectsResponse, message.dataSize, message.connection === far]).toEqual([
      'all',
      true,
      10,
      true,
    ])
    expect([message.files.length, message.files().length, Object.is(message.files, message.files())]).toEqual(
      [3, 3, true],
    )
    expect(message.files.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
    expect([...message.files].indexOf(message.files[1]!)).toBe(1)
    const [first] = message.files
    expect([first!.size, first!.bytesLeft, first!.receivedSize, first!.loaded]).toEqual([1, 1, 0, false])
    expect((await first!.toArray()).toString()).toBe('a')
    expect([first!.bytesLeft, first!.receivedSize, first!.loaded]).toEqual([0, 1, true])
    expect(await message.msgpack()).toEqual({ deep: [1] })
    expect(message.dataBuffer()).toBe(message.dataBuffer())
    expect([message.data!.size, message.stream!.readable]).toEqual([10, true])
    message.discard(true)
    await expect(message.files[2]!.toArray()).rejects.toThrow()
  })

  test('and nothing else', async () => {
    const { near, far } = await ends()
    const asked = next<Message>(far, 'message')
    await near.pass(Draft.for('bare')())
    const message = await asked
    expect([message.data, message.stream, message.files.length, message.expectsResponse]).toEqual([
      null,
      null,
      0,
      false,
    ])
    expect((await message.dataBuffer()).length).toBe(0)
    await expect(message.msgpack()).rejects.toMatchObject({ code: 'ERR_DECODE' })
  })

  test.each([5, 100_000])('is read in one way: %i bytes', async size => {
    const { near, far } = await ends()
    const asked = next<Message>(far, 'message')
    near.send(Draft.for('x').data(Buffer.alloc(size, 1))())
    const message = await asked
    expect(Buffer.concat(await message.data!.toArray()).length).toBe(size)
    await expect(message.dataBuffer()).rejects.toMatchObject({ code: 'ERR_SOCKETY_DISCARDED' })
  })

  test('has a bound in memory, and none as a stream', async () => {
    const { near, far } = await ends({ maxDataBufferBytes: 100_000 })
    const asked = next<Message>(far, 'message')
    void near.pass(Draft.for('big').data(Buffer.alloc(100_001))())
    const message = await asked
    await expect(message.dataBuffer()).rejects.toMatchObject({ code: 'ERR_SOCKETY_LIMIT' })
    let size = 0
    for await (const chunk of message.data!) size += chunk.length
    expect(size).toBe(100_001)
  })
})

test('fast replies have names, and ids have bytes', () => {
  expect([FastReply.Accept, FastReply[5]]).toEqual([0, 'InternalError'])
  expect([isKnownFastReply(5), isKnownFastReply(6)]).toEqual([true, false])
  expect([2, 77].map(getResponseDescription)).toEqual(['Not Implemented', 'Custom #77'])
  const bytes = Buffer.from('00112233445566778899aabbccddeeff', 'hex')
  const uuid = new UUID(bytes)
  expect([String(uuid), JSON.stringify({ uuid })]).toEqual([
    '00112233-4455-6677-8899-aabbccddeeff',
    '{"uuid":"00112233-4455-6677-8899-aabbccddeeff"}',
  ])
  expect([uuid.toBuffer().equals(bytes), uuid.equals(new UUID(bytes, 0))]).toEqual([true, true])
  expect(() => new UUID(bytes, 1)).toThrow('Out of bounds: can not read UUID.')
})
