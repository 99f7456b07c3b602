// The option `tracing`: names of the program's own, the size of the body, and which clients are shared.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { connect, type Message, traceMessage } from 'selvedge'
import { loose } from '../support/authority'
import { client, ended, exporter, inSpan, useSdk } from '../support/spans'

useSdk()

test('a program names destinations by its own templates, also of calls, handlers, sockets and loops', async () => {
  const destination = (subject: string): string | undefined =>
    subject.startsWith('user.') ? subject.replace(/\d+/, '{id}') : undefined
  const [one, two] = [client({ tracing: { destination } }), client({ tracing: { destination } })]
  const subscription = await two.subscribe('user.*.mail')
  const heard = new Promise(resolve => subscription.emitter.on('message', resolve))
  const looped = await two.subscribe('user.7.loop')
  await two.service('user.7.calls', { ask: () => 1 })
  const listener = two.socket.listen('user.7.chat')
  const written = new Promise(resolve => listener.on('connection', peer => peer.on('data', resolve)))
  await listener.waitUntilReady()
  await inSpan(async () => {
    await one.publish('user.7.mail', 1)
    await one.publish('user.7.loop', 1)
    await one.publish('other', 1)
    await one.call<{ ask(): number }>('user.7.calls').ask()
    const socket = one.socket.connect('user.7.chat')
    await socket.waitUntilReady()
    socket.write(1)
  })
  await Promise.all([heard, written])
  for await (const message of looped) {
    traceMessage(message, () => 1)
    break
  }
  expect(
    exporter
      .getFinishedSpans()
      .map(({ name, attributes }) => `${name} [${attributes['messaging.destination.template'] ?? ''}]`)
      .sort(),
  ).toEqual([
    'connect user.{id}.chat [user.{id}.chat]',
    'process user.{id}.chat [user.{id}.chat]',
    'process user.{id}.loop [user.{id}.loop]',
    'process user.{id}.mail [user.{id}.mail]',
    'program []',
    'publish other []',
    'publish user.{id}.loop [user.{id}.loop]',
    'publish user.{id}.mail [user.{id}.mail]',
    'send user.{id}.chat [user.{id}.chat]',
    'user.{id}.calls/ask []',
    'user.{id}.calls/ask []',
  ])
  expect(ended('publish user.{id}.mail')[0]!.attributes['messaging.destination.name']).toBe('user.7.mail')
  await Promise.all([one, two].map(each => each.close()))
})

test.each([
  ['throws', 'throw Error("no template")', 'no template'],
  ['returns a number', 'return 7', 'what tracing.destination returns must be a string that is not empty'],
  ['returns nothing', 'return ""', 'what tracing.destination returns must be a string that is not empty'],
])('a destination that %s is an error of the process, and the message goes its way', (_what, body, text) => {
  const program = `
    const { trace, context } = require('@opentelemetry/api')
    const { BasicTracerProvider } = require('@opentelemetry/sdk-trace-base')
    trace.setGlobalTracerProvider(new BasicTracerProvider())
    const { init } = require('selvedge')
    const broker = init({ port: null })
    const client = broker.client({ tracing: { mode: 'all', destination: () => { ${body} } } })
    const errors = []
    process.on('uncaughtException', error => errors.push(error.message))
    client.publish('a', 1).then(async ({ bytes }) => {
      console.log(JSON.stringify([bytes, errors]))
      await client.close()
      await broker.close()
    })
  `
  const output = execFileSync(process.execPath, ['--eval', program], {
    cwd: join(__dirname, '../..'),
    encoding: 'utf8',
  })
  expect(JSON.parse(output)).toEqual([1, [expect.stringContaining(text)]])
})

test('spans say how large a message is where that is wanted', async () => {
  const [plain, sized] = [client(), client({ tracing: { bodySize: true } })]
  for (const each of [plain, sized]) {
    const own = each === sized ? 'sized' : 'plain'
    const subscription = await each.subscribe(own)
    subscription.emitter.on('message', (message: Message) => message.isRequest() && message.respondSync(1))
    const listener = each.socket.listen(`${own}.chat`)
    listener.on('connection', peer => peer.on('request', (request: Message) => request.respondSync(1)))
    await listener.waitUntilReady()
    await inSpan(async () => {
      const { bytes } = await each.publish(own, 'x'.repeat(100))
      expect(bytes).toBe(102)
      await each.request(own, 'x'.repeat(200))
      const socket = each.socket.connect(`${own}.chat`)
      await socket.waitUntilReady()
      socket.write('x'.repeat(20))
      await socket.request('x'.repeat(10))
    })
    const sizes = exporter
      .getFinishedSpans()
      .filter(({ name }) => name !== 'program')
      .map(({ name, attributes }) => `${name.split(' ')[0]} ${attributes['messaging.message.body.size']}`)
    const expected = ['connect undefined', 'process 102', 'process 11', 'process 202', 'publish 102']
    expected.push('request 11', 'request 202', 'send 21')
    expect(sizes.sort()).toEqual(
      each === sized ? expected : expected.map(line => line.replace(/\d+/, 'undefined')).sort(),
    )
    exporter.reset()
  }
  await Promise.all([plain, sized].map(each => each.close()))
})

test('a client whose destination is set is its own, and wrong options are refused', async () => {
  const address = 'http://127.0.0.1:1'
  const tracing = { destination: (subject: string) => subject }
  const options = { address, autoConnect: false }
  const clients = [connect({ ...options, tracing }), connect({ ...options, tracing })]
  expect(clients[0]).not.toBe(clients[1])
  const sized = [1, 2].map(() => connect({ ...options, tracing: { bodySize: true } }))
  expect(sized[0]).toBe(sized[1])
  const wrong: [unknown, string][] = [
    [{ destinations: () => 'x' }, 'ERR_UNKNOWN_OPTION'],
    [{ destination: 'x' }, 'ERR_INVALID_ARG_TYPE'],
    [{ bodySize: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ mode: true }, 'ERR_INVALID_ARG_VALUE'],
    [true, 'ERR_INVALID_ARG_VALUE'],
    [null, 'ERR_INVALID_ARG_VALUE'],
  ]
  for (const [value, code] of wrong)
    expect(() => connect({ ...options, tracing: loose(value) })).toThrow(expect.objectContaining({ code }))
  await Promise.all([...clients, ...sized].map(each => each.close()))
})
