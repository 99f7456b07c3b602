// What the engine takes for JSON is what `JSON.parse` takes, and it arrives as the same: headers are the text that it reads.
import { type ConatServer, connect, init, type Message } from 'selvedge'
import { DOORS, Stranger } from '../hostile/stranger'

const SEED = Number(process.env.SELVEDGE_SEED ?? 20261129)
const TEXTS = 400

/** Small numbers that depend on nothing but the seed (xorshift). */
function dice(seed: number): (sides: number) => number {
  let state = seed | 1
  return sides => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % sides
  }
}

const NUMBERS = [
  '0',
  '-0',
  '1',
  '-1.5e3',
  '1E+2',
  '0.1e-7',
  '1e400',
  '-1e999',
  '5e-324',
  '1e-400',
  '9007199254740993',
  '1'.repeat(40),
]
const PIECES = [
  'a',
  'é',
  '\u{1f600}',
  '\\n',
  '\\"',
  '\\\\',
  '\\/',
  '\\u0041',
  '\\ud83d',
  '\\ude00',
  '\\ud83d\\ude00',
  '\\uDFFF',
  '\u2028',
  '\u007f',
  '_placeholder2',
]
const NAMES = ['"a"', '"__proto__"', '"constructor"', '""', '"0"', '"10"', '"\\u0061"', '"toString"', '"CN"']
const SPACE = ['', '', ' ', '\n', '\t\r ']

/** A text that is JSON, in as odd a way as there is. */
function textOf(roll: (sides: number) => number, depth = 0): string {
  const pick = (list: readonly string[]): string => list[roll(list.length)]!
  const space = (): string => pick(SPACE)
  const string = (): string => `"${Array.from({ length: roll(6) }, () => pick(PIECES)).join('')}"`
  const list = (make: () => string): string =>
    Array.from({ length: roll(4) }, () => `${space()}${make()}${space()}`).join(',')
  const kind = depth === 0 ? 5 : roll(depth > 6 ? 4 : 6)
  if (kind === 0) return pick(['true', 'false', 'null'])
  if (kind === 1) return pick(NUMBERS)
  if (kind < 4) return string()
  if (kind === 4) return `[${list(() => textOf(roll, depth + 1))}]`
  const member = (): string =>
    `${roll(2) ? pick(NAMES) : string()}${space()}:${space()}${textOf(roll, depth + 1)}`
  return `{${list(member)}}`
}

/** What `JSON.parse` refuses. */
const BROKEN = [
  '{',
  '{"a":1,}',
  '{"a"}',
  "{'a':1}",
  '{"a":01}',
  '{"a":+1}',
  '{"a":.5}',
  '{"a":1.}',
  '{"a":NaN}',
  '{"a":"\n"}',
  '{"a":"\\x41"}',
  '{"a":"\\u12"}',
  '{} {}',
  '{"a":tru}',
  '[1,]',
  '{"a":1 "b":2}',
  '\u00a0{}',
]

let broker: ConatServer

beforeAll(async () => {
  broker = init({ port: 0, host: '127.0.0.1' })
  await broker.waitUntilReady()
})

afterAll(() => broker.close())

describe.each(DOORS)('at the door %s', door => {
  test(`random texts arrive as JSON.parse reads them (seed ${SEED})`, async () => {
    const { port } = broker.address()!
    await using reader = connect({ address: `http://127.0.0.1:${port}`, noCache: true })
    const subscription = await reader.subscribe('json')
    const stranger = await Stranger.come(door, port)
    const roll = dice(SEED)
    const texts = Array.from({ length: TEXTS }, () => textOf(roll))
    stranger.raw.say(Buffer.concat(texts.map(headers => stranger.message({ subject: 'json', headers }))))
    for (const text of texts) {
      const { value } = (await subscription.next()) as { value: Message }
      expect([text, JSON.stringify(value.headers ?? {})]).toEqual([text, JSON.stringify(JSON.parse(text))])
    }
    stranger.raw.end()
  })

  test('what JSON.parse refuses ends the connection of who sent it, and nobody else’s', async () => {
    const { port } = broker.address()!
    await using reader = connect({ address: `http://127.0.0.1:${port}`, noCache: true })
    const subscription = await reader.subscribe('json')
    const survivors: string[] = []
    // At once, since a WebSocket is given a second to answer its close.
    await Promise.all(
      BROKEN.map(async headers => {
        expect(() => JSON.parse(headers)).toThrow()
        const stranger = await Stranger.come(door, port)
        stranger.raw.say(stranger.message({ subject: 'json', headers }))
        if (!(await stranger.raw.isCutOff())) survivors.push(headers)
        stranger.raw.end()
      }),
    )
    expect(survivors).toEqual([])
    await reader.publish('json', 'last')
    expect(((await subscription.next()) as { value: Message }).value.data).toBe('last')
  })
})
