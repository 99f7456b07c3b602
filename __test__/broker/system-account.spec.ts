// The system account: its password on the way to the server, and the API of the servers.
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { Client, connect, init, type Message, sysApi, sysApiMany } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'

const PASSWORD = 'correct-horse-7'

async function headersOf(options: object): Promise<IncomingMessage['headers']> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const address = `http://127.0.0.1:${port}`
  const client = connect({ address, noCache: true, wire: 'conat', ...options })
  const [request, socket] = await once(server, 'upgrade')
  await client.close()
  socket.destroy()
  server.close()
  return request.headers
}

describe('systemAccountPassword', () => {
  test('is sent as the cookie `sys`', async () => {
    expect((await headersOf({ systemAccountPassword: PASSWORD })).cookie).toBe(`sys=${PASSWORD}`)
  })

  test('joins the cookies of the application, however these are written', async () => {
    const headers = await headersOf({
      systemAccountPassword: PASSWORD,
      extraHeaders: { cookie: 'a=1; b=2', 'X-Mine': 'yes' },
    })
    expect(headers.cookie).toBe(`a=1; b=2; sys=${PASSWORD}`)
    expect(headers['x-mine']).toBe('yes')
  })

  test('shows nowhere: not in the options of a client, nor when it is printed, nor in an error', async () => {
    const server = init({ port: null })
    await server.waitUntilReady()
    const client = server.client({ systemAccountPassword: PASSWORD, extraHeaders: { Cookie: 'secret=1' } })
    await client.waitUntilReady()
    const shown = [
      inspect(client, { depth: null, showHidden: false }),
      JSON.stringify(client.options),
      inspect(client.options, { showHidden: true }),
    ]
    for (const text of shown) expect(text).not.toContain(PASSWORD)
    expect(shown[0]).not.toContain('secret=1')
    expect(client.options.extraHeaders).toEqual({ Cookie: 'secret=1' })
    expect(client.options).not.toHaveProperty('systemAccountPassword')
    for (const bad of ['a;b', 'a b', 'a\r\nb', 'ü', '']) {
      const make = () => new Client({ address: 'http://127.0.0.1:1', systemAccountPassword: `${bad}` })
      expect(make).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
      if (bad !== '')
        expect(make).toThrow(expect.objectContaining({ message: expect.not.stringContaining(bad) }))
    }
    await client.close()
    await server.close()
  })

  test('tells clients of one address apart', async () => {
    const options = { address: 'http://127.0.0.1:1', autoConnect: false }
    const [one, two] = [connect({ ...options, systemAccountPassword: 'a' }), connect(options)]
    expect(one).not.toBe(two)
    await Promise.all([one.close(), two.close()])
  })
})

describeFabrics(
  'the system API',
  fabric => {
    // Of gateways they tell of one.
    beforeEach(() => fabric.meetAtOneBroker())
    const serve = async (subject: string, id: string) =>
      fabric.client().service(
        subject,
        {
          stats: () => ({ id }),
          disconnect(this: Message, ids: string[]) {
            return [this.subject, ids]
          },
        },
        { queue: id },
      )

    test('asks one server, by its id or whichever answers first', async () => {
      await serve('sys.conat.yard.n1', 'n1')
      await serve('sys.conat.yard.n2', 'n2')
      await serve('sys.conat.yard', 'any')
      const client = fabric.client()
      expect(await sysApi(client).stats()).toEqual({ id: 'any' })
      expect(await sysApi(client, { id: 'n2' }).stats()).toEqual({ id: 'n2' })
      expect(await sysApi(client, { id: 'n1' }).disconnect(['x'])).toEqual(['sys.conat.yard.n1', ['x']])
      expect(await rejection(sysApi(client, { clusterName: 'other' }).stats())).toMatchObject({ code: 503 })
      expect(() => sysApi(client, { id: 'a.b' })).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
      )
    })

    test('asks all servers', async () => {
      for (const id of ['n1', 'n2', 'n3']) await serve('sys.conat.yard', id)
      const answers: unknown[] = []
      for await (const answer of sysApiMany(fabric.client(), { maxMessages: 3 }).stats()) answers.push(answer)
      expect(answers).toHaveLength(3)
      expect(answers).toEqual(expect.arrayContaining([{ id: 'n1' }, { id: 'n2' }, { id: 'n3' }]))
      expect(await rejection(sysApiMany(fabric.client(), { clusterName: 'other' }).usage())).toMatchObject({
        code: 503,
      })
    })
  },
  { clusterName: 'yard' },
)
