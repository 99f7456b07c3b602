// The address of a client behind a proxy: by the word of those that are named, and of nobody else.
import http from 'node:http'
import { connect, init, type ServerOptions } from 'selvedge'

type Fields = Record<string, string>
const FIELD = 'X-Forwarded-For'

/** Returns the address that `getUser` sees of a client that sends these fields. */
async function addressOf(options: ServerOptions, extraHeaders: Fields, at = 'port'): Promise<string> {
  let seen = 'never asked'
  const getUser: ServerOptions['getUser'] = ({ handshake }) => {
    seen = handshake.address
    return { name: 'ann' }
  }
  const httpServer = at === 'httpServer' ? http.createServer() : undefined
  if (httpServer) await new Promise<void>(resolve => httpServer.listen(0, '127.0.0.1', resolve))
  const broker = init(httpServer ? { httpServer, getUser, ...options } : { port: 0, getUser, ...options })
  try {
    await broker.waitUntilReady()
    const client = connect({ address: String(broker.address()), noCache: true, extraHeaders })
    await client.waitUntilReady()
    expect(Object.values(broker.sockets).map(({ address }) => address)).toEqual([seen])
    client.close()
  } finally {
    broker.close()
    httpServer?.close()
  }
  return seen
}

test.each(['port', 'httpServer'])('nobody is believed unless named, at %s', async at => {
  const claims = { [FIELD]: '203.0.113.5', Forwarded: 'for=203.0.113.5', 'X-Real-IP': '203.0.113.5' }
  expect(await addressOf({}, claims, at)).toBe('127.0.0.1')
  expect(await addressOf({ trustedProxies: ['10.0.0.0/8', 'unix'] }, claims, at)).toBe('127.0.0.1')
})

test.each(['port', 'httpServer'])('a named proxy is believed in one field, at %s', async at => {
  const trustedProxies = ['loopback', '10.0.0.0/8']
  const fields = { [FIELD]: '1.1.1.1, 203.0.113.5, 10.0.0.7', Forwarded: 'for=8.8.8.8' }
  expect(await addressOf({ trustedProxies }, fields, at)).toBe('203.0.113.5')
  expect(await addressOf({ trustedProxies, forwardedField: 'forwarded' }, fields, at)).toBe('8.8.8.8')
  const { Forwarded } = fields
  expect(await addressOf({ trustedProxies }, { Forwarded }, at)).toBe('127.0.0.1')
})

test.each([
  [{ trustedProxies: ['proxy.example'] }, 'trustedProxies[0]'],
  [{ trustedProxies: ['10.0.0.1', '10.0.0.0/33'] }, 'trustedProxies[1]'],
  [{ trustedProxies: '10.0.0.1' }, 'trustedProxies'],
  [{ trustedProxies: [''] }, 'trustedProxies[0]'],
  [{ forwardedField: 'x-real-ip' }, 'forwardedField'],
])('%j is refused', (options, name) => {
  expect(() => init({ port: 0, ...(options as object) })).toThrow(
    expect.objectContaining({
      code: expect.stringMatching(/^ERR_INVALID_ARG_/),
      message: expect.stringContaining(name),
    }),
  )
})
