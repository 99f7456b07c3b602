// What no honest side says, over every way to connect, beside a neighbour who calls the same server all the while: a body that
// does not fit costs its packet, what breaks the protocol its connection, and the neighbour notices nothing.
import { type EventEmitter, once } from 'node:events'
import { decode } from '@msgpack/msgpack'
import type { PacketError, PacketLink, PacketServer, PacketSocket } from 'selvedge/packets'
import { BEGINNINGS, BODIES, BREACHES, Echo, idOf, inputs, Slow, THEIRS } from './bad-inputs'
import {
  CALL,
  CANCEL,
  ERROR,
  frame,
  framesOf,
  HELLO,
  hello,
  POST,
  packed,
  RESULT,
  SCHEMA,
  text,
  varuint,
} from './raw-peer'
import { describeWaysOnce, type Stage } from './ways'

/** Milliseconds of the processor that others may wait for their turn. */
const MAX_TURN = 1000

/** One who calls, and calls again. */
class Neighbour {
  answers = 0
  readonly #failures: unknown[] = []
  readonly #running: Promise<void>
  #isLeaving = false
  #longest = 0
  #last = process.cpuUsage()
  readonly #timer = setInterval(() => this.#turn(), 1)

  constructor(readonly socket: PacketSocket) {
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    for (let n = 0; !this.#isLeaving; n++) {
      try {
        if ((await this.socket.send(['Echo', n])) !== n) this.#failures.push(n)
      } catch (error) {
        this.#failures.push(error)
        return
      }
      this.answers += 1
      await new Promise(setImmediate)
    }
  }

  #turn(): void {
    const { user, system } = process.cpuUsage(this.#last)
    this.#longest = Math.max(this.#longest, (user + system) / 1000)
    this.#last = process.cpuUsage()
  }

  /** Two answers more: one of a call that is under way now, and one of a call that is made after it. */
  async witness(): Promise<void> {
    const enough = this.answers + 2
    while (this.answers < enough && this.#failures.length === 0) await new Promise(setImmediate)
    expect(this.#failures).toEqual([])
    expect(this.#longest).toBeLessThan(MAX_TURN)
  }

  async leave(): Promise<void> {
    clearInterval(this.#timer)
    this.#isLeaving = true
    await this.#running
    await this.socket.close()
  }
}

/** One side of a connection, by hand; and what the server says of the other. */
class Attacker {
  readonly #heard: Buffer[] = []
  readonly rejected: [code: string | number, name?: string][] = []
  readonly seen: unknown[] = []
  readonly closed: Promise<PacketError | undefined>
  readonly #cut: Promise<void>
  #isReady: Promise<void>
  #more: () => void = () => undefined

  constructor(
    readonly link: PacketLink,
    readonly server: PacketSocket,
  ) {
    this.#cut = new Promise(resolve =>
      link.listen(
        bytes => {
          this.#heard.push(Buffer.from(bytes!))
          this.#more()
        },
        () => resolve(),
      ),
    )
    this.#isReady = new Promise(resolve => link.ready(resolve))
    this.closed = once(server as unknown as EventEmitter, 'closed').then(([reason]) => reason)
    server.on('rejected', error => this.rejected.push([error.code, error.packet]))
    server.on('packet', packet => this.seen.push(packet.data))
  }

  async say(...frames: Uint8Array[]): Promise<void> {
    await this.#isReady
    this.link.send(Buffer.concat(frames))
  }

  /** The next so many frames behind HELLO, without their lengths. */
  async heard(count: number): Promise<Buffer[]> {
    for (;;) {
      const frames = framesOf(wholeFrames(Buffer.concat(this.#heard))).filter(each => each[0] !== HELLO)
      if (frames.length >= count) return frames
      await new Promise<void>(resolve => (this.#more = resolve))
    }
  }

  /** The end that a server gives: it is told why, and the attacker is cut off. */
  async ended(): Promise<PacketError | undefined> {
    const reason = await this.closed
    await this.#cut
    return reason
  }

  async leave(): Promise<void> {
    this.link.close()
    await this.closed
  }
}

/** Bytes up to the end of the last frame that is whole. */
function wholeFrames(bytes: Buffer): Buffer {
  let end = 0
  for (let at = 0; at < bytes.length; ) {
    let length = 0
    for (let shift = 1, byte = 128; byte >= 128 && at < bytes.length; shift *= 128) {
      byte = bytes[at++]!
      length += (byte & 127) * shift
    }
    at += length
    if (at <= bytes.length) end = at
  }
  return bytes.subarray(0, end)
}

async function attack(stage: Stage, packets?: Readonly<Record<string, string>>): Promise<Attacker> {
  const { link, server } = await stage.attack()
  const attacker = new Attacker(link, server)
  if (packets !== undefined) await attacker.say(hello(packets))
  return attacker
}

/** All of a row: a function with more arguments gets a callback from Jest. */
const placed = (rows: typeof BREACHES) =>
  rows.map(([what, message, where = 'anywhere']) => [what, message, where] as const)

const told = (answer: Buffer) => [answer[0], answer[1], decode(answer.subarray(2))]
const post = (name: string, body: Uint8Array | string) => frame(POST, idOf(name), body)

describeWaysOnce('who says', stage => {
  let neighbour: Neighbour
  let server: PacketServer
  const open: (() => void)[] = []

  beforeAll(async () => {
    server = await stage.listen(inputs)
    server.handle(Echo, ({ data }) => data)
    server.handle(Slow, () => new Promise<void>(resolve => open.push(resolve)))
    neighbour = new Neighbour((await stage.connect(inputs)).socket)
  })
  afterEach(async () => {
    for (const end of open.splice(0)) end()
    await neighbour.witness()
  })
  afterAll(() => neighbour.leave())

  test.each(BODIES)('%s is answered 400', async (_, name, body, code = 'ERR_PACKET_MALFORMED') => {
    const attacker = await attack(stage, THEIRS)
    await attacker.say(
      frame(CALL, 1, idOf(name), body),
      post(name, body),
      frame(CALL, 2, idOf('Echo'), '0107'),
    )
    const answers = await attacker.heard(2)
    expect(told(answers[0]!)).toEqual([ERROR, 1, { code: 400, reason: `malformed ${name}` }])
    expect(told(answers[1]!)).toEqual([RESULT, 2, 7])
    expect(attacker.rejected).toEqual([
      [code, name],
      [code, name],
    ])
    // Nothing of a bundle is accepted when one of it cannot be.
    expect(attacker.seen).toEqual([7])
    await attacker.leave()
  })

  test.each(placed(BREACHES))('%s is cut off', async (_, message, where) => {
    const attacker = await attack(stage, THEIRS)
    if (where === 'message' && attacker.link.isStream) return await attacker.leave()
    await attacker.say(message)
    expect(await attacker.ended()).toMatchObject({ code: 'ERR_PACKET_PROTOCOL' })
  })

  test.each(placed(BEGINNINGS))('%s at the beginning is cut off', async (_, message, where) => {
    const attacker = await attack(stage)
    if (where === 'message' && attacker.link.isStream) return await attacker.leave()
    await attacker.say(message)
    expect(await attacker.ended()).toMatchObject({ code: 'ERR_PACKET_PROTOCOL' })
  })

  test('what is no bytes is cut off', async () => {
    const reason = await stage.attackWithoutBytes()
    if (reason !== false) expect(reason).toMatchObject({ code: 'ERR_PACKET_PROTOCOL' })
  })

  test('100 malformed bodies is cut off, however many follow', async () => {
    const attacker = await attack(stage, THEIRS)
    await attacker.say(...Array(20_000).fill(post('Num', '0102')))
    expect(await attacker.ended()).toMatchObject({
      code: 'ERR_PACKET_PROTOCOL',
      message: expect.stringContaining('100 malformed'),
    })
    expect(attacker.rejected).toHaveLength(100)
  })

  test('a packet in the wrong direction is answered 403', async () => {
    const attacker = await attack(stage, THEIRS)
    await attacker.say(
      frame(CALL, 1, idOf('Refresh')),
      post('Redirect', '012f'),
      frame(CALL, 2, idOf('Num'), 1),
    )
    const answers = await attacker.heard(2)
    expect(told(answers[0]!)).toEqual([ERROR, 1, expect.objectContaining({ code: 403 })])
    expect(answers[1]!.toString('hex')).toBe('0302')
    expect(attacker.rejected).toEqual([[403, 'Redirect']])
    await attacker.leave()
  })

  test('a packet that is unknown, or unreadable with and without its schema, is answered 501', async () => {
    const theirs = {
      ...THEIRS,
      Mine: '{"data":{}}',
      Num: '{"data":{"n":"string"}}',
      Real: '{"data":"float32"}',
      Slow: '{"data":{"a":"bool"},"result":"bool"}',
    }
    const id = (name: string) => idOf(name, theirs)
    const attacker = await attack(stage, theirs)
    await attacker.say(frame(SCHEMA, id('Num'), text(theirs.Num)))
    const names = ['Mine', 'Num', 'Real', 'Slow']
    await attacker.say(...names.flatMap((name, i) => [frame(CALL, i + 1, id(name)), frame(POST, id(name))]))
    await attacker.say(frame(CALL, 5, id('Echo'), '0107'))
    // And the schemas of the three that differ.
    const answers = (await attacker.heard(3 + 5)).filter(each => each[0] !== SCHEMA)
    expect(answers.map(told)).toEqual([
      ...names.map((_, i) => [ERROR, i + 1, expect.objectContaining({ code: 501 })]),
      [RESULT, 5, 7],
    ])
    expect(attacker.rejected).toEqual(
      names.flatMap(name => Array(2).fill([expect.stringMatching(/^ERR_PACKET_UN/), name])),
    )
    await attacker.leave()
  })

  test('an answer to a call that has timed out, and CANCEL of no call, goes on', async () => {
    const attacker = await attack(stage, THEIRS)
    const late = await attacker.server.send(['Num', { n: 1 }], { timeout: 20 }).catch(({ code }) => code)
    expect(late).toBe('ERR_PACKET_TIMEOUT')
    await attacker.say(
      frame(CANCEL, 77),
      frame(RESULT, 1, packed('late')),
      frame(CALL, 1, idOf('Echo'), '0107'),
    )
    const answers = (await attacker.heard(3)).filter(each => each[0] === RESULT)
    expect(answers.map(told)).toEqual([[RESULT, 1, 7]])
    await attacker.leave()
  })

  test('20 000 calls of what takes long: 4096 are at work, the others are answered 429', async () => {
    const attacker = await attack(stage, THEIRS)
    const calls = Array.from({ length: 20_000 }, (_, i) => frame(CALL, varuint(i + 1), idOf('Slow')))
    await attacker.say(...calls)
    const refused = await attacker.heard(20_000 - 4096)
    const answer = packed({ code: 429, reason: 'too many packets at work' })
    expect(refused.every(each => each[0] === ERROR && each.subarray(-answer.length).equals(answer))).toBe(
      true,
    )
    await neighbour.witness()
    expect(open).toHaveLength(4096)
    for (const end of open.splice(0)) end()
    expect(await attacker.heard(20_000)).toHaveLength(20_000)
    await attacker.leave()
  })
})
