// `undefined` counts as an option that is absent, and the contracts say so: a program with `exactOptionalPropertyTypes` may pass on
// what it may not have.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Client,
  connect,
  decode,
  encode,
  formatMetrics,
  init,
  MessageData,
  setDefaultSocketTimeouts,
  setDefaultTimeouts,
} from 'selvedge'
import { Packet } from 'selvedge/packets'
import { faultProxy } from 'selvedge/testing'

const ROOT = join(__dirname, '../..')

/** What is only returned, or only a type. */
const OUTPUTS: Readonly<Record<string, readonly string[]>> = {
  'index.d.ts': [
    'headers: Headers | null',
    'askServer: [question: unknown, answer: unknown]',
    'askClient: [question: unknown, answer: unknown]',
    'upstream: UpstreamTotals',
  ],
  'types/browser.d.ts': ['headers: Headers | null'],
  'types/packets.d.ts': ['value: T', 'error: PacketError'],
}

const CONTRACTS = ['index.d.ts', ...readdirSync(join(ROOT, 'types')).map(name => `types/${name}`)]

test.each(CONTRACTS)('%s lets each option be undefined', file => {
  const strict = [...optionalMembers(readFileSync(join(ROOT, file), 'utf8'))]
    .filter(({ isReadonly, type }) => !isReadonly && !takesUndefined(type))
    .map(({ name, type }) => `${name}: ${type}`)
  expect(strict).toEqual(OUTPUTS[file] ?? [])
})

test('the contracts are read as they are meant', () => {
  const text = `
    export function one(a?: string, options?: { b?: number; readonly c?: string }): void
    export interface Two {
      // d?: string
      e?: (given: { f?: 'g' }) => string | undefined
      h?:
        | ((i: number) => void)
        | undefined
    }`
  const found = [...optionalMembers(text)].map(({ name, type, isReadonly }) => [
    name,
    isReadonly,
    takesUndefined(type),
  ])
  expect(found).toEqual([
    ['b', false, false],
    ['c', true, false],
    ['e', false, false],
    ['f', false, false],
    ['h', false, true],
  ])
})

interface Member {
  readonly name: string
  readonly isReadonly: boolean
  readonly type: string
}

/** The optional members of all objects of a contract, also of those that stand in a list of arguments. */
function* optionalMembers(contract: string): Generator<Member> {
  const text = contract.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, comment => comment.replace(/[^\n]/g, ' '))
  const around: string[] = []
  for (let at = 0; at < text.length; at++) {
    around.splice(around.length + Math.min(0, step(text, at)))
    if (step(text, at) > 0) around.push(text[at]!)
    if (!text.startsWith('?:', at) || around.at(-1) !== '{') continue
    const [, before, name] = /(readonly )?(\w+)$/.exec(text.slice(0, at)) ?? []
    // Of a mapped type.
    if (name === undefined) continue
    const type = typeAt(text, at + 2)
    yield { name, isReadonly: before !== undefined, type: type.trim().replace(/\s+/g, ' ') }
  }
}

/** 1 where a bracket opens, -1 where one closes. An arrow is none. */
function step(text: string, at: number): number {
  if ('{([<'.includes(text[at]!)) return 1
  return '})]'.includes(text[at]!) || (text[at] === '>' && text[at - 1] !== '=') ? -1 : 0
}

function typeAt(text: string, from: number): string {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    depth += step(text, at)
    const isEnd = text[at] === ';' || (text[at] === '\n' && isWhole(text.slice(from, at), text.slice(at + 1)))
    if (depth < 0 || (depth === 0 && isEnd)) return text.slice(from, at)
  }
  return text.slice(from)
}

/** Whether a type does not go on in the next line. */
function isWhole(type: string, rest: string): boolean {
  return type.trim() !== '' && !/(?:[|&]|=>)\s*$/.test(type) && !/^\s*[|&]/.test(rest)
}

/** What a function returns is not what the option may be. */
function takesUndefined(type: string): boolean {
  let [flat, depth] = ['', 0]
  for (let at = 0; at < type.length; at++) {
    const by = step(type, at)
    if (by === 0 && depth === 0) flat += type[at]
    depth += by
  }
  return !flat.includes('=>') && /\bundefined\b|^unknown$/.test(flat)
}

test('an option of one call that is undefined leaves the service its own', async () => {
  const broker = init({ port: null })
  const client = broker.client()
  const { withOptions } = await import('selvedge')
  await client.service('s', { never: () => new Promise<void>(() => {}) })
  const quick = withOptions(client.call<{ never(): void }>('s', { timeout: 30 }), { timeout: undefined })
  await expect(quick.never()).rejects.toMatchObject({ code: 408 })
  await broker.close()
})

const UNDEFINED = undefined as never

/** Functions whose options are no interface, or have no other test: each is called with all of them undefined. */
const CALLS: Readonly<Record<string, (client: Client) => unknown>> = {
  waitForInterest: client => client.waitForInterest('s', { timeout: UNDEFINED, signal: UNDEFINED }),
  service: client => client.service('t', {}, { queue: UNDEFINED, timeout: UNDEFINED, signal: UNDEFINED }),
  'Subscription.drain': client => client.subscribeSync('u').drain({ deadline: UNDEFINED, signal: UNDEFINED }),
  'ConatSocketServer.request': client =>
    client.socket
      .listen('v')
      .request(1, { race: UNDEFINED, timeout: UNDEFINED, noThrow: UNDEFINED } as never),
  'request, and what it answers with': client =>
    client.request('s', ['twice', [2]], { noThrow: UNDEFINED, timeout: UNDEFINED, headers: UNDEFINED }),
  routeSubject: () => connect({ routeSubject: UNDEFINED, autoConnect: false, forceNew: UNDEFINED }).close(),
  MessageData: () =>
    new MessageData({
      raw: encode({ encoding: UNDEFINED, mesg: 1 }),
      encoding: UNDEFINED,
      headers: UNDEFINED,
      ttl: UNDEFINED,
    }).data,
  decode: () => decode({ encoding: UNDEFINED, data: encode({ mesg: 1 }) }),
  formatMetrics: client => formatMetrics(client.metrics(), { openMetrics: UNDEFINED }),
  'formatMetrics of a family': () =>
    formatMetrics([
      {
        name: 'a',
        help: 'b',
        type: 'counter',
        unit: UNDEFINED,
        samples: [{ suffix: UNDEFINED, labels: {}, value: 1 }],
      },
    ]),
  setDefaultTimeouts: () => setDefaultTimeouts({ request: UNDEFINED, publish: UNDEFINED }),
  setDefaultSocketTimeouts: () =>
    setDefaultSocketTimeouts({ command: UNDEFINED, keepAlive: UNDEFINED, keepAliveTimeout: UNDEFINED }),
  'a fault proxy': async () => {
    const faults = {
      latency: UNDEFINED,
      jitter: UNDEFINED,
      bandwidth: UNDEFINED,
      slice: UNDEFINED,
      flip: UNDEFINED,
      reset: UNDEFINED,
    }
    const proxy = await faultProxy({
      target: 1,
      seed: UNDEFINED,
      host: UNDEFINED,
      port: UNDEFINED,
      toServer: faults,
      toClient: UNDEFINED,
    })
    proxy.set(faults, UNDEFINED)
    await proxy.close()
  },
  'a packet': () => {
    const options = { result: UNDEFINED, pack: UNDEFINED, direction: UNDEFINED, order: UNDEFINED }
    const { direction, order } = Packet({ n: 'uint8' }, options) as unknown as Record<string, unknown>
    expect({ direction, order }).toEqual({ direction: 'both', order: 'concurrent' })
  },
}

test.each(Object.entries(CALLS))('%s takes options that are undefined', async (_name, call) => {
  const broker = init({ port: null })
  const client = broker.client()
  try {
    await client.service('s', { twice: (n: number) => 2 * n })
    await call(client)
  } finally {
    await broker.close()
  }
})
