// What a client says to a server of NATS: names and headers that would end the connection, or mean something to the server,
// are refused here, or travel where nobody acts on them.
import { type NatsConnection, connect as natsConnect } from '@nats-io/transport-node'
import { type Client, connect } from 'selvedge'
import { read, rejection } from '../support/messages'
import { describeNats, NatsServer, type RawNats, rawNats } from '../support/nats'

describeNats('names and headers on NATS', () => {
  const server = new NatsServer()
  let client: Client
  let raw: RawNats
  let foreign: NatsConnection
  let disconnects = 0
  beforeAll(() => server.start())
  afterAll(() => server.close())
  beforeEach(async () => {
    disconnects = 0
    client = connect({ address: server.address, noCache: true })
    client.on('disconnected', () => disconnects++)
    await client.waitUntilReady()
    raw = await rawNats(server.port)
    foreign = await natsConnect({ servers: server.address })
  })
  afterEach(async () => {
    raw.close()
    await foreign.close()
    await client.close()
  })

  /** The connection is the one of the beginning, and works. */
  async function expectAlive(): Promise<void> {
    const subscription = await client.subscribe('alive')
    expect((await client.publish('alive', 1)).count).toBe(1)
    subscription.close()
    expect(disconnects).toBe(0)
  }

  const LONG = `x.${'y'.repeat(5 * 1024)}`
  test.each([
    ['a tab', 'a\tb'],
    ['the end of a line', 'a\r\nPUB b 2'],
    ['a space', 'a b'],
    ['an empty token', 'a..b'],
    ['an empty first token', '.a'],
    ['an empty last token', 'a.'],
    ['nothing', ''],
    ['a zero', 'a\0b'],
    ['5 KiB', LONG],
  ])('a subject with %s is refused, and nothing of it leaves', async (_, subject) => {
    await raw.say('SUB > 1\r\n')
    const before = raw.heard.length
    const code = subject === LONG ? 'ERR_TOO_LARGE' : 'ERR_INVALID_SUBJECT'
    const attempt = (act: () => Promise<unknown>) => rejection((async () => await act())())
    expect(await attempt(() => client.publish(subject, 1))).toMatchObject({ code })
    expect(await attempt(() => client.request(subject, 1))).toMatchObject({ code })
    expect(await attempt(() => client.subscribe(subject))).toMatchObject({ code })
    await expectAlive()
    await raw.say('')
    const said = raw.heard.slice(before)
    // The tap hears only what came of looking whether the connection lives.
    expect(said.match(/^H?MSG (\S+)/gm)).toEqual(['HMSG alive'])
  })

  test.each([
    ['of empty tokens', 'a..b'],
    ['of wildcards', 'a.*'],
    ['of 4 KB', 'z'.repeat(4000)],
    ['of bytes that are no text', 'a\xff\xfe'],
  ])('an answer to a reply subject %s ends nothing', async (_, reply) => {
    const subscription = await client.subscribe('asked')
    raw.socket.write(Buffer.from(`PUB asked ${reply} 2\r\nhi\r\n`, 'latin1'))
    await raw.say('PUB asked _INBOX.raw.x 3\r\nend\r\n')
    for await (const message of subscription) {
      if (message.isRequest()) message.respondSync('answer')
      if (String(message.data) === 'end') break
    }
    subscription.close()
    await expectAlive()
  })

  test('headers that would break a line, and those that the server acts on, travel as JSON', async () => {
    const headers = {
      plain: 'as it is',
      lines: 'a\r\nNats-Trace-Dest: stolen',
      'a:b': 'colon',
      'a b': 'space',
      'Nats-Trace-Dest': 'stolen',
      'nats-msg-id': '7',
      Sv: '1',
      umlaut: 'grün',
    }
    const stolen = foreign.subscribe('stolen')
    const tap = foreign.subscribe('headers')
    const subscription = await client.subscribe('headers')
    await foreign.flush()
    await client.publish('headers', 1, { headers })
    const [message] = await read(subscription, 1)
    expect(message!.headers).toEqual(headers)
    for await (const heard of tap) {
      expect([...heard.headers!.keys()].sort()).toEqual(['Content-Type', 'Sv-Headers', 'plain', 'umlaut'])
      break
    }
    await foreign.flush()
    expect(stolen.getReceived()).toBe(0)
    subscription.close()
    await expectAlive()
  })
})
