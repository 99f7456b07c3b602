// What comes from stdin, and what a program prints, arrives as it is: text if it is UTF-8, else bytes.
import { connect } from 'selvedge'
import { commandSuite } from '../support/command-suite'

jest.setTimeout(60_000)

const { env, start, run } = commandSuite()
/** No UTF-8, with a line end inside, a carriage return and a zero. */
const LINES = [Buffer.from([0xff, 0xfe, 0x00]), Buffer.from('text'), Buffer.from([0x80, 0x0d, 0x41])]
const BINARY = Buffer.concat(LINES.flatMap(line => [line, Buffer.from('\n')]))
/** Printed by a program. */
const PRINTF = `printf '\\377\\376\\n'`

/** What a command sends to a subject, as a program gets it. */
async function sent(args: string[], input: string | Buffer): Promise<unknown[]> {
  const client = connect({ address: env.SELVEDGE_SERVER!, noCache: true })
  try {
    const subscription = await client.subscribe('payload')
    const got: unknown[] = []
    subscription.emitter.on('message', message => {
      got.push(message.data)
      if (message.isRequest()) message.respondSync('ok')
    })
    const server = client.socket.listen('payload')
    server.on('connection', socket => {
      socket.on('data', data => got.push(data))
      socket.on('request', request => {
        if (request.headers?.['selvedge-end'] === true) return
        got.push(request.data)
        request.respondSync('ok')
      })
    })
    await server.waitUntilReady()
    const { exit, stderr } = await run(args, input)
    expect({ exit, stderr: stderr.replace(/^published .*\n/, '') }).toEqual({ exit: 0, stderr: '' })
    return got
  } finally {
    await client.close()
  }
}

const each = [
  ['pub payload', [BINARY]],
  ['pub payload --as bytes', [BINARY]],
  ['pub payload --count 2', [BINARY, BINARY]],
  ['pub payload --lines', [LINES[0], 'text', LINES[2]]],
  ['pub payload --lines --as bytes', LINES],
  ['req payload', [BINARY]],
  ['socket payload --lines --idle 0', [LINES[0], 'text', LINES[2]]],
  ['socket payload --request', [LINES[0], 'text', LINES[2]]],
] as const

test.each(each)('%s', async (line, expected) => {
  expect(await sent(line.split(' '), BINARY)).toEqual(expected)
})

test.each([
  ['pub payload', ['\ufeffé\n']],
  // The mark of an editor is no part of the first line.
  ['pub payload --lines', ['é']],
] as const)('text is text: %s', async (line, expected) => {
  expect(await sent(line.split(' '), '\ufeffé\n')).toEqual(expected)
})

test.each([
  ['pub x --as text', /^selvedge: the payload is not UTF-8, so no text\n {2}try: --as bytes\n$/],
  ['pub x --as json', /^selvedge: the payload is not UTF-8, so no JSON\n/],
  ['pub x --as auto', /^selvedge: the payload is not UTF-8, so no text\n/],
  ['pub x --lines --as text', /^selvedge: line 1: the payload is not UTF-8, so no text; 0 lines were/],
  ['req x --as text', /^selvedge: the payload is not UTF-8/],
])('what is asked for as text must be it: %s', async (line, complaint) => {
  const { exit, stderr } = await run(line.split(' '), BINARY)
  expect({ exit, stderr }).toEqual({ exit: 2, stderr: expect.stringMatching(complaint) as string })
})

test.each<[string[], unknown]>([
  [[], Buffer.from([0xff, 0xfe, 0x0a])],
  [['--as', 'bytes'], Buffer.from([0xff, 0xfe, 0x0a])],
])('what a program answers %j', async (args, expected) => {
  const server = start('reply', 'answers', '--exec', PRINTF, ...args)
  await server.until(/answering on/)
  const client = connect({ address: env.SELVEDGE_SERVER!, noCache: true })
  expect((await client.request('answers', null)).data).toEqual(expected)
  await client.close()
  await server.stop()
})

test('a program that prints no text where text is asked for is an error', async () => {
  const server = start('reply', 'wrong', '--exec', PRINTF, '--as', 'text')
  await server.until(/answering on/)
  const { exit, stderr } = await run(['req', 'wrong', '1'])
  expect([exit, stderr]).toEqual([1, 'selvedge: the payload is not UTF-8, so no text\n'])
  await server.stop()
})
