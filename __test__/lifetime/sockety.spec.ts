// Sockety's connections and servers: a program ends when it is done, stays while it is not, loses nothing, and keeps nothing.
import { type Ended, run } from './run'

const end = ({ code, signal, stderr }: Ended) => ({ code, signal, stderr })
const clean = { code: 0, signal: null, stderr: '' }

test.each([
  ['talk', 'answer 0\n', 'all was closed'],
  ['words', 'heard 5000\n', 'the last words have been heard'],
  ['hold', 'closed\n', 'the only open connection is closed'],
  ['unref', 'open\n', 'all that is open is unref-ed'],
])('a program ends by itself, in silence: %s', async (job, printed) => {
  const ended = await run('sockety.mjs', [job])
  expect(end(ended)).toEqual(clean)
  expect(ended.stdout).toBe(printed)
})

test('process.exit in the middle of traffic ends with its code and nothing on stderr', async () => {
  const ended = await Promise.all([0, 7, 7, 7].map(code => run('sockety.mjs', ['exit', String(code)])))
  expect(ended.map(end)).toEqual([0, 7, 7, 7].map(code => ({ ...clean, code })))
})

test('12 workers terminated in mid-traffic harm nobody: others go on', async () => {
  const ended = await run('sockety-workers.cjs', ['12', '4'])
  expect(end(ended)).toEqual(clean)
  expect(JSON.parse(ended.stdout)).toEqual({ clients: 1, bytes: 80_000 })
}, 60_000)

describe('a client that goes ends no server', () => {
  test.each([
    'passes, and does not wait',
    'broadcasts, and does not wait',
    'answers too late',
    'accepts too late',
    'reads what does not come',
    'pipes, and listens to nothing',
    'answers behind its own close',
    'sends in a listener for connections, too late',
  ])('that %s', async name => {
    const ended = await run('sockety-departures.mjs', [name])
    expect(end(ended)).toEqual(clean)
    expect(ended.stdout).toBe('still here\n')
  })

  test.each([
    ['has a bug', /TypeError: a bug/],
    // By its own close, or before it was let in.
    ['asks somebody else, who is gone', /FabricError: (The connection|cannot connect) /],
  ])('but one that %s ends, and says why', async (name, text) => {
    const ended = await run('sockety-departures.mjs', [name])
    expect(ended.code).toBe(1)
    expect(ended.stderr).toMatch(text)
  })
})

interface Measure {
  live: Record<string, number>
  resources: number
  rss: number
  external: number
}

// Those of a connection with itself; the server's end has as many. Sent responses are remembered, up to 1024.
const IDLE = { Message: 0, Response: 0, Body: 0 }

test.each([
  ['connections', '200', { ...IDLE, Connection: 0, Request: 0 }],
  ['messages', '1500', { ...IDLE, Connection: 2 }],
])(
  '%s that come and go leave nothing behind',
  async (what, cycles, live) => {
    const ended = await run('sockety-leak.cjs', [what, cycles], { node: ['--expose-gc', '--no-warnings'] })
    expect(end(ended)).toEqual(clean)
    const { before, after } = JSON.parse(ended.stdout) as { before: Measure; after: Measure }
    expect(after.live).toMatchObject(live)
    // Two rings of those that nobody waits for.
    expect(after.live.Request).toBeLessThanOrEqual(2 * 1024)
    expect(after.resources).toBe(before.resources)
    // A cycle moves 300 kB both ways.
    expect(after.rss - before.rss).toBeLessThan(16 * 1024 * 1024)
    expect(after.external - before.external).toBeLessThan(4 * 1024 * 1024)
  },
  60_000,
)
