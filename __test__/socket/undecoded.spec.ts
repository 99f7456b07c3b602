// What waits undecoded, and turns out to be nothing that can be decoded: its socket is closed when it is read.
type Item = [data: unknown, headers: object]

interface Incoming {
  source: Buffer
  start: number
  end: number
  encoding: number
}

interface Loop {
  next(): Promise<IteratorResult<Item, undefined>>
}

const { Undecoded } = require('../../dist/socket/arrived.js') as {
  Undecoded: new (
    incoming: Incoming,
    headers: string | null,
    handleFailure: (error: { code: string }) => void,
  ) => object
}
const { Inbox } = require('../../dist/socket/inbox.js') as {
  Inbox: new (sink: {
    hasListeners(): boolean
    emitData(data: unknown): void
    handleConsumed(): void
  }) => {
    put(arrived: object): void
    flow(): void
    iterate(isEager: boolean): Loop
    shut(): void
    end(failure: object): void
  }
}
const { Failure } = require('../../dist/values/failure.js') as {
  Failure: new (code: string, message: string) => object
}

const MSGPACK = 0
const incoming = (bytes: Buffer): Incoming => ({
  source: bytes,
  start: 0,
  end: bytes.length,
  encoding: MSGPACK,
})
/** An array of more than there is. */
const BAD = Buffer.concat([Buffer.from([0xdd, 0, 0, 0xff, 0xff]), Buffer.alloc(100, 0xc0)])
const GOOD = Buffer.concat([Buffer.from([0xdc, 0, 100]), Buffer.alloc(100, 0x07)])

function inbox() {
  const emitted: unknown[] = []
  const failures: string[] = []
  let listens = false
  const made = new Inbox({
    hasListeners: () => listens,
    emitData: data => emitted.push(data),
    handleConsumed: () => {},
  })
  const put = (bytes: Buffer): void =>
    made.put(
      new Undecoded(incoming(bytes), null, error => {
        failures.push(error.code)
        // As a socket does that closes itself for this.
        made.shut()
        setImmediate(() => made.end(new Failure(error.code, 'broken')))
      }),
    )
  const listen = (): void => {
    listens = true
    made.flow()
  }
  return { made, put, listen, emitted, failures }
}

test('a listener gets what is before it, and nothing behind it', async () => {
  const { put, listen, emitted, failures } = inbox()
  for (const bytes of [GOOD, BAD, GOOD]) put(bytes)
  expect(failures).toEqual([])
  listen()
  await new Promise(setImmediate)
  expect(emitted).toEqual([Array(100).fill(7)])
  expect(failures).toEqual(['ERR_DECODE'])
})

test('loops get what is before it, and throw why, all of them, once each', async () => {
  const { made, put, failures } = inbox()
  const loops = [made.iterate(false), made.iterate(false)]
  for (const bytes of [GOOD, BAD, GOOD]) put(bytes)
  for (const loop of loops) {
    expect((await loop.next()).value![0]).toEqual(Array(100).fill(7))
  }
  for (const loop of loops) {
    await expect(loop.next()).rejects.toMatchObject({ code: 'ERR_DECODE' })
    expect(await loop.next()).toEqual({ value: undefined, done: true })
  }
  expect(failures).toEqual(['ERR_DECODE'])
})

test('a loop that waits for it, too', async () => {
  const { made, put } = inbox()
  const next = made.iterate(false).next()
  put(BAD)
  await expect(next).rejects.toMatchObject({ code: 'ERR_DECODE' })
})
