// Metrics over HTTP: who gets them, in which form, and who does not.
import { createServer as createHttpServer, type IncomingHttpHeaders, request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConatServer, connect, init, type ServerOptions } from 'selvedge'
import { parseMetrics } from '../support/prometheus'

const { native } = require(join(__dirname, '../../dist/engine/native.js')) as {
  native: { brokerAnswer(broker: number, number: number, response: Uint8Array): void }
}
const TOKEN = 'a-token-of-32-characters-or-more'
const open: ConatServer[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map(broker => broker.close()))
})

async function start(options: ServerOptions): Promise<ConatServer> {
  const broker = init(options)
  open.push(broker)
  await broker.waitUntilReady()
  return broker
}

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

interface Question {
  method?: string
  headers?: Record<string, string>
  path?: string
  socketPath?: string
}

/** Asks whoever listens at this port, or at this file. */
function ask(
  port: number,
  { method = 'GET', headers, path = '/metrics', socketPath }: Question = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const place = socketPath === undefined ? { host: '127.0.0.1', port } : { socketPath }
    const asked = request({ ...place, method, path, headers, agent: false }, answer => {
      let body = ''
      answer.setEncoding('utf8')
      answer.on('data', (part: string) => {
        body += part
      })
      answer.on('end', () => resolve({ status: answer.statusCode!, headers: answer.headers, body }))
    })
    asked.on('error', reject)
    asked.end()
  })
}

const DOORS: readonly [string, ServerOptions, (broker: ConatServer) => number][] = [
  ["the broker's port", { port: 0, metrics: true }, broker => broker.address()!.port],
  ['a port of its own', { port: 0, metrics: { port: 0 } }, broker => broker.metricsAddress()!.port],
  [
    'a port of its own of a broker without one',
    { port: null, metrics: { port: 0 } },
    broker => broker.metricsAddress()!.port,
  ],
]

describe.each(DOORS)('at %s', (_name, options, portOf) => {
  let port: number
  let broker: ConatServer

  beforeEach(async () => {
    broker = await start(options)
    port = portOf(broker)
  })

  test('the text is that of Prometheus unless OpenMetrics is asked for', async () => {
    const client = broker.client()
    await client.publish('a', 'xyz')
    const forms: [string | undefined, boolean][] = [
      [undefined, false],
      ['*/*', false],
      ['nonsense', false],
      ['application/openmetrics-text;q=0, text/plain', false],
      ['application/openmetrics-text; version=1.0.0,text/plain;version=0.0.4;q=0.5', true],
    ]
    for (const [accept, openMetrics] of forms) {
      const { status, headers, body } = await ask(port, accept === undefined ? {} : { headers: { accept } })
      expect({ accept, status, type: headers['content-type'] }).toEqual({
        accept,
        status: 200,
        type: openMetrics
          ? 'application/openmetrics-text; version=1.0.0; charset=utf-8'
          : 'text/plain; version=0.0.4; charset=utf-8',
      })
      const families = parseMetrics(body, { openMetrics })
      const name = `selvedge_broker_published_bytes${openMetrics ? '' : '_total'}`
      expect(families.find(family => family.name === name)!.samples[0]!.value).toBe(4)
      expect(families.some(family => family.name === 'selvedge_clients')).toBe(true)
    }
    await client.close()
  })

  test('HEAD gets the head, and other methods nothing', async () => {
    const head = await ask(port, { method: 'HEAD' })
    expect(head).toMatchObject({ status: 200, body: '' })
    expect(Number(head.headers['content-length'] ?? 1)).toBeGreaterThan(0)
    for (const method of ['POST', 'PUT', 'DELETE']) {
      expect(await ask(port, { method })).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
    }
  })

  test('who comes through a proxy, or by another name, is refused', async () => {
    const headers: Record<string, string>[] = [
      { 'X-Forwarded-For': '10.0.0.1' },
      { Forwarded: 'for=10.0.0.1' },
      { Via: '1.1 proxy' },
      { 'X-Forwarded-Host': 'broker.example' },
      { 'X-Real-IP': '10.0.0.1' },
      { Host: 'evil.example' },
      { Host: '127.0.0.1.evil.example' },
    ]
    for (const given of headers) expect((await ask(port, { headers: given })).status).toBe(403)
    for (const Host of ['localhost', '127.0.0.1:80', '[::1]:80']) {
      expect((await ask(port, { headers: { Host } })).status).toBe(200)
    }
  })

  test('many at once are all answered, or told that there are too many', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(port)))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
  })
})

test('whoever asks again and again is refused before JavaScript hears of it, whatever is asked', async () => {
  const broker = await start({ port: 0, metrics: { token: TOKEN } })
  const { port } = broker.address()!
  const answers = jest.spyOn(native, 'brokerAnswer')
  const collected = jest.spyOn(broker, 'metrics')
  try {
    const statuses: number[] = []
    const began = Date.now()
    for (let n = 0; n < 20; n++) {
      const headers = { authorization: n % 2 === 0 ? `Bearer ${TOKEN}` : 'Bearer wrong' }
      const some = await Promise.all(Array.from({ length: 20 }, () => ask(port, { headers })))
      statuses.push(...some.map(({ status }) => status))
    }
    const seconds = Math.ceil((Date.now() - began) / 1000)
    const answered = statuses.filter(status => status !== 429)
    expect(answers).toHaveBeenCalledTimes(answered.length)
    expect(answered.length).toBeLessThanOrEqual(100 + 20 * seconds)
    // Once for the broker, and once among the figures of the process.
    expect(collected.mock.calls.length).toBeLessThanOrEqual(2 * (1 + seconds))
    expect(new Set(answered)).toEqual(new Set([200, 401]))
    // The broker's own work goes on, also for whoever is refused there.
    expect((await ask(port, { path: '/healthz' })).status).toBe(200)
  } finally {
    answers.mockRestore()
    collected.mockRestore()
  }
})

test('with a token they may be told beyond loopback, and beside an HTTP server at a port of their own', async () => {
  const headers = { authorization: `Bearer ${TOKEN}` }
  const wide = await start({ port: 0, host: '0.0.0.0', metrics: { token: TOKEN } })
  expect((await ask(wide.address()!.port, { headers })).status).toBe(200)
  const httpServer = createHttpServer((_request, response) => response.end('mine'))
  httpServer.listen(0, '127.0.0.1')
  try {
    const beside = await start({ httpServer, metrics: { port: 0, token: TOKEN } })
    expect((await ask(beside.metricsAddress()!.port, { headers })).status).toBe(200)
    expect((await ask(beside.address()!.port)).body).toBe('mine')
    await beside.close()
  } finally {
    await new Promise(resolve => httpServer.close(resolve))
  }
})

test('with a token nobody else gets them, from wherever', async () => {
  const broker = await start({ port: 0, metrics: { token: TOKEN } })
  const { port } = broker.address()!
  for (const authorization of [undefined, 'Bearer wrong', `Basic ${TOKEN}`, TOKEN]) {
    const answer = await ask(port, authorization === undefined ? {} : { headers: { authorization } })
    expect(answer).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer' } })
  }
  const headers = { authorization: `Bearer ${TOKEN}`, 'X-Forwarded-For': '10.0.0.1' }
  expect((await ask(port, { headers })).status).toBe(200)
  expect(JSON.stringify(broker.options)).not.toContain(TOKEN)
})

test('they are off unless asked for, and clients come in as ever where they are on', async () => {
  const broker = await start({ port: 0 })
  expect((await ask(broker.address()!.port)).status).toBe(404)
  const other = await start({ port: 0, metrics: true })
  const client = connect({ address: String(other.address()), noCache: true })
  await client.waitUntilReady()
  await client.close()
  expect((await ask(other.address()!.port, { path: '/metrics/more' })).status).toBe(404)
})

test('over a Unix socket the permissions of its file decide', async () => {
  const socketPath = join(tmpdir(), `selvedge-metrics-${process.pid}.sock`)
  await start({ socketPath, metrics: true })
  expect((await ask(0, { socketPath })).status).toBe(200)
})

test('the port of its own has a health check, and nothing else', async () => {
  const broker = await start({ port: 0, metrics: { port: 0 } })
  const { port } = broker.metricsAddress()!
  expect(await ask(port, { path: '/healthz' })).toMatchObject({ status: 200, body: 'ok' })
  expect((await ask(port, { path: '/conat' })).status).toBe(404)
  await broker.close()
  await expect(ask(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('a taken port fails the broker, and says so', async () => {
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as AddressInfo
  const broker = init({ port: 0, metrics: { port } })
  await expect(broker.waitUntilReady()).rejects.toMatchObject({ code: 'EADDRINUSE' })
  await broker.close()
  await new Promise(resolve => taken.close(resolve))
})

test.each<[string, ServerOptions]>([
  ['beyond loopback without a token', { port: 0, host: '0.0.0.0', metrics: true }],
  ['at a port beyond loopback without a token', { port: 0, metrics: { port: 0, host: '0.0.0.0' } }],
  ['with a token that can be guessed', { port: 0, metrics: { token: 'short' } }],
  ['where there is no port', { port: null, metrics: true }],
])('refused: %s', (_name, options) => {
  expect(() => init(options)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
})
