// Spans and trace contexts with the program's own OpenTelemetry.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { SpanKind, trace } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import { connect, init, type Message, traceMessage } from 'selvedge'
import { loose } from '../support/authority'
import { client, ended, exporter, inSpan, useSdk } from '../support/spans'

const { serverOf } = require('../../dist/telemetry/tracing.js') as {
  serverOf(address: string): { address: string; port?: number } | undefined
}

useSdk()

/** Each span with its parent, by name. */
function tree(spans: readonly ReadableSpan[]): string[] {
  const names = new Map(spans.map(span => [span.spanContext().spanId, span.name]))
  return spans.map(span => `${names.get(span.parentSpanContext?.spanId ?? '') ?? '-'} > ${span.name}`).sort()
}

test('a request through two services and a socket is one trace', async () => {
  const [one, two, three, asker] = [client(), client(), client(), client()]
  const listener = three.socket.listen('chat')
  listener.on('connection', peer => peer.on('request', (request: Message) => request.respondSync('third')))
  await listener.waitUntilReady()
  const socket = two.socket.connect('chat')
  await socket.waitUntilReady()
  await two.service('second', { ask: async () => (await socket.request('x')).data })
  await one.service('first', { ask: () => one.call<{ ask(): string }>('second').ask() })
  expect(await inSpan(() => asker.call<{ ask(): string }>('first').ask())).toBe('third')
  const spans = exporter.getFinishedSpans()
  expect(tree(spans)).toEqual([
    '- > program',
    'first/ask > first/ask',
    'first/ask > second/ask',
    'program > first/ask',
    'request chat > process chat',
    'second/ask > request chat',
    'second/ask > second/ask',
  ])
  expect(new Set(spans.map(span => span.spanContext().traceId)).size).toBe(1)
  const kinds = spans.filter(({ name }) => name === 'first/ask').map(({ kind }) => kind)
  expect(kinds.sort()).toEqual([SpanKind.SERVER, SpanKind.CLIENT])
  const asked = spans.find(({ name, kind }) => name === 'first/ask' && kind === SpanKind.CLIENT)!
  expect(asked.instrumentationScope.name).toBe('selvedge')
  // Within the process there is no server.
  expect(asked.attributes).toEqual({ 'rpc.system.name': 'selvedge', 'rpc.method': 'first/ask' })
  expect(spans.find(({ name }) => name === 'request chat')!.attributes).toEqual({
    'messaging.system': 'selvedge',
    'messaging.operation.name': 'request',
    'messaging.operation.type': 'send',
    'messaging.destination.name': 'chat',
    'messaging.client.id': two.id,
    'selvedge.socket.id': socket.id,
  })
  await Promise.all([one, two, three, asker].map(each => each.close()))
})

test('published and written messages bring their trace, and what the program has written is left alone', async () => {
  const [writer, reader] = [client(), client()]
  const seen: unknown[] = []
  const subscription = await reader.subscribe('orders.*')
  const heard = new Promise<void>(resolve => {
    subscription.emitter.on('message', (message: Message) => {
      seen.push([message.headers?.traceparent, trace.getActiveSpan()?.spanContext().traceId])
      if (seen.length === 2) resolve()
    })
  })
  const own = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  await inSpan(async () => {
    await writer.publish('orders.new', 1)
    writer.publishSync('orders.new', 2, { headers: { traceparent: own } })
  })
  await heard
  const [first, second] = seen as [string, string][]
  expect(first![0]).toMatch(new RegExp(`^00-${first![1]}-[0-9a-f]{16}-01$`))
  expect(second).toEqual([own, own.split('-')[1]])
  const names = exporter.getFinishedSpans().map(({ name, kind }) => [name, kind])
  expect(names).toContainEqual(['publish orders.new', SpanKind.PRODUCER])
  expect(names).toContainEqual(['process orders.*', SpanKind.CONSUMER])
  await Promise.all([writer.close(), reader.close()])
})

test('a call that fails is a failed span at both ends, and a method that there is not makes no name', async () => {
  const [server, caller] = [client(), client()]
  const fail = async (): Promise<never> => {
    throw Object.assign(Error('no'), { code: 'ENO' })
  }
  await server.service('math', { fail })
  await inSpan(async () => {
    const math = caller.call<{ fail(): void; nothing(): void }>('math')
    await expect(math.fail()).rejects.toMatchObject({ code: 'ENO' })
    await expect(math.nothing()).rejects.toMatchObject({ code: 'ERR_NOT_DEFINED' })
  })
  const [served] = ended('math/fail').filter(({ kind }) => kind === SpanKind.SERVER)
  expect(served).toMatchObject({ attributes: { 'error.type': 'ENO' }, status: { code: 2 } })
  const [other] = ended('math/_OTHER')
  expect(other).toMatchObject({
    kind: SpanKind.SERVER,
    attributes: { 'rpc.method': 'math/_OTHER', 'error.type': 'ERR_NOT_DEFINED' },
  })
  await Promise.all([server, caller].map(each => each.close()))
})

test('a socket connects inside a span, until it is ready, or will not be; what it sends says which socket', async () => {
  const [server, guest] = [client(), client()]
  const listener = server.socket.listen('room')
  const heard = new Promise<void>(resolve => {
    listener.on('connection', peer => peer.on('data', (n: unknown) => n === 2 && resolve()))
  })
  await listener.waitUntilReady()
  const socket = await inSpan(async () => {
    const socket = guest.socket.connect('room')
    expect(ended('connect room')).toEqual([])
    await socket.waitUntilReady()
    socket.write(1)
    socket.write(2)
    return socket
  })
  await heard
  const [connect] = ended('connect room')
  expect(connect!.kind).toBe(SpanKind.CLIENT)
  expect(connect!.attributes).toEqual({
    'messaging.system': 'selvedge',
    'messaging.operation.name': 'connect',
    'messaging.destination.name': 'room',
    'messaging.client.id': guest.id,
    'selvedge.socket.id': socket.id,
  })
  expect(connect!.status.code).toBe(0)
  expect(ended('send room').map(({ attributes }) => attributes['selvedge.socket.seq'])).toEqual([1, 2])
  expect(ended('process room').map(({ attributes }) => attributes['selvedge.socket.id'])).toEqual([
    socket.id,
    socket.id,
  ])
  // A reconnect is no second one.
  guest.disconnect()
  guest.connect()
  await socket.waitUntilReady()
  expect(ended('connect room')).toHaveLength(1)
  await inSpan(async () => {
    const closed = new Promise(resolve => guest.socket.connect('nobody.there').on('closed', resolve).close())
    await closed
  })
  const [failed] = ended('connect nobody.there')
  expect(failed).toMatchObject({ attributes: { 'error.type': 'ERR_CLOSED' }, status: { code: 2 } })
  // Without a span there is none.
  await guest.socket.connect('room').waitUntilReady()
  expect(ended('connect room')).toHaveLength(1)
  await Promise.all([server, guest].map(each => each.close()))
})

test('spans say which server, and which queue group the program has named', async () => {
  const far = init({ port: 0, host: '127.0.0.1' })
  await far.waitUntilReady()
  const [writer, reader] = [0, 1].map(() => connect({ address: String(far.address()), noCache: true }))
  const heard: Promise<unknown>[] = []
  for (const options of [{}, { queue: 'workers' }]) {
    const pattern = options.queue === undefined ? 'placed.*' : 'placed.>'
    const subscription = await reader!.subscribe(pattern, options)
    heard.push(new Promise(resolve => subscription.emitter.on('message', resolve)))
  }
  await inSpan(() => writer!.publish('placed.a', 1))
  await Promise.all(heard)
  const server = { 'server.address': '127.0.0.1', 'server.port': far.address()!.port }
  expect(ended('publish placed.a')[0]!.attributes).toMatchObject(server)
  const [alone, worker] = [ended('process placed.*')[0]!, ended('process placed.>')[0]!]
  expect(alone.attributes).toMatchObject({
    ...server,
    'messaging.destination.name': 'placed.a',
    'messaging.destination.template': 'placed.*',
  })
  expect(alone.attributes).not.toHaveProperty('messaging.consumer.group.name')
  expect(worker.attributes['messaging.consumer.group.name']).toBe('workers')
  await Promise.all([writer!.close(), reader!.close(), far.close()])
})

test.each([
  ['http://host.example', { address: 'host.example', port: 80 }],
  ['https://user:secret@host.example/path', { address: 'host.example', port: 443 }],
  ['http://[::1]:3000', { address: '::1', port: 3000 }],
  ['nats://ann:secret@one:4223,nats://two', { address: 'one', port: 4223 }],
  ['tls://one,two', { address: 'one', port: 4222 }],
  ['unix:/run/fabric.sock', { address: '/run/fabric.sock' }],
  ['http://', undefined],
])('of the address %s spans say %j', (address, expected) => {
  expect(serverOf(address)).toEqual(expected)
})

test('inside a span of the program a message is linked, and the program is what it belongs to', async () => {
  const [writer, reader] = [client(), client()]
  const subscription = await reader.subscribe('linked')
  await inSpan(() => writer.publish('linked', 1))
  await writer.publish('linked', 2)
  const published = ended('publish linked')[0]!.spanContext()
  exporter.reset()
  await inSpan(async () => {
    let left = 2
    for await (const message of subscription) {
      traceMessage(message, () => 1)
      left -= 1
      if (left === 0) break
    }
  })
  expect(tree(exporter.getFinishedSpans())).toEqual([
    '- > program',
    'program > process linked',
    'program > process linked',
  ])
  const links = ended('process linked').map(span => span.links.map(({ context: { spanId } }) => spanId))
  expect(links).toEqual([[published.spanId], []])
  await Promise.all([writer.close(), reader.close()])
})

test('without a span nothing is traced, unless everything is to be', async () => {
  const [quiet, loud, off] = [client(), client({ tracing: 'all' }), client({ tracing: false })]
  const headers: unknown[] = []
  const subscription = await quiet.subscribe('untraced')
  subscription.emitter.on('message', (message: Message) => headers.push(message.headers))
  await quiet.publish('untraced', 1)
  await inSpan(() => off.publish('untraced', 2))
  await quiet.request('nobody').catch(() => {})
  expect(headers).toEqual([undefined, undefined])
  expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(['program'])
  await loud.request('nobody').catch(() => {})
  const failed = exporter.getFinishedSpans().find(({ name }) => name === 'request nobody')!
  expect(failed).toMatchObject({ attributes: { 'error.type': '503' }, status: { code: 2 } })
  await Promise.all([quiet, loud, off].map(each => each.close()))
})

test('in a loop a message is handled inside a span by traceMessage, whatever becomes of it', async () => {
  const [writer, reader] = [client(), client()]
  const subscription = await reader.subscribe('looped.*')
  await inSpan(async () => {
    for (const n of [1, 2, 3]) await writer.publish('looped.a', n)
  })
  await writer.publish('looped.a', 4)
  const results: unknown[] = []
  for await (const message of subscription) {
    const inside = (): unknown => [message.data, trace.getActiveSpan()?.spanContext().traceId]
    if (message.data === 1) results.push(traceMessage(message, inside))
    else if (message.data === 2) results.push(await traceMessage(message, async () => inside()))
    else if (message.data === 3) {
      const failing = async (): Promise<void> => {
        throw Object.assign(Error('no'), { code: 'ENO' })
      }
      await expect(traceMessage(message, failing)).rejects.toThrow('no')
    } else {
      // It brings no context.
      expect(traceMessage(message, inside)).toEqual([4, undefined])
      break
    }
  }
  const spans = exporter.getFinishedSpans().filter(({ name }) => name === 'process looped.a')
  const program = exporter.getFinishedSpans().find(({ name }) => name === 'program')!
  const { traceId } = program.spanContext()
  expect(results).toEqual([
    [1, traceId],
    [2, traceId],
  ])
  expect(spans).toHaveLength(3)
  for (const { kind, parentSpanContext } of spans)
    expect([kind, parentSpanContext?.traceId]).toEqual([SpanKind.CONSUMER, traceId])
  expect(spans[2]).toMatchObject({ attributes: { 'error.type': 'ENO' }, status: { code: 2 } })
  for (const wrong of [undefined, {}, 'x'])
    expect(() => traceMessage(loose(wrong), () => 1)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    )
  await Promise.all([writer.close(), reader.close()])
})

test('a damaged context breaks nothing', async () => {
  const [writer, reader] = [client(), client()]
  const subscription = await reader.subscribe('damaged')
  const seen: unknown[] = []
  subscription.emitter.on('message', (message: Message) => seen.push(message.headers))
  for (const traceparent of ['nonsense', 7, '', 'x'.repeat(5000), ['00']]) {
    await writer.publish('damaged', 1, { headers: { traceparent } })
  }
  await reader.request('nobody').catch(() => {})
  expect(seen).toHaveLength(5)
  expect(exporter.getFinishedSpans()).toEqual([])
  await Promise.all([writer.close(), reader.close()])
})

test('without an SDK nothing of OpenTelemetry is loaded', () => {
  const program = `
    const { init } = require('selvedge')
    const broker = init({ port: null })
    const client = broker.client()
    client.publish('a', 1).then(async () => {
      console.log(Object.keys(require.cache).filter(path => path.includes('opentelemetry')).length)
      await client.close()
      await broker.close()
    })
  `
  const output = execFileSync(process.execPath, ['--eval', program], {
    cwd: join(__dirname, '../..'),
    encoding: 'utf8',
  })
  expect(output).toBe('0\n')
})
