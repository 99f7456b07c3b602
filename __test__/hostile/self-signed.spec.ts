// A broker whose certificate has its own signature, as `openssl req -x509` makes it by default, and whose clients have that
// certificate as `ca`: they come in as they do with node:tls, nobody else is taken for it, and a watched neighbour stays.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import tls from 'node:tls'
import { type Client, connect } from 'selvedge'
import { material } from '../support/certificates'
import { arena, besiege, knock, many } from './siege'

const OWN = material('self-signed')
const WIRES = ['selvedge', 'conat'] as const

besiege({ ssl: OWN })

let clients: Client[] = []

afterEach(async () => {
  for (const client of clients) await client.close()
  clients = []
})

function member(wire: (typeof WIRES)[number], port: number, ca?: string): Client {
  const client = connect({ address: `https://localhost:${port}`, wire, ca, noCache: true })
  clients.push(client)
  return client
}

/** What node:tls says of the same certificate. */
function opinionOfNode(port: number, ca?: string): Promise<string> {
  return new Promise(resolve => {
    const socket = tls.connect({ port, host: 'localhost', servername: 'localhost', ca })
    socket.once('secureConnect', () => resolve('welcome'))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code!))
    socket.once('close', () => socket.destroy())
  })
}

test.each(WIRES)('who has it as ca talks to it, over %s', async wire => {
  expect(await opinionOfNode(arena.port, OWN.cert)).toBe('welcome')
  const client = member(wire, arena.port, OWN.cert)
  await client.waitUntilReady({ timeout: 5000 })
  expect((await client.request('honest.service', 'who?')).data).toBe('honest')
})

test.each(WIRES)('who does not have it is told why, over %s, and the same by node:tls', async wire => {
  expect(await opinionOfNode(arena.port)).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
  const [reason] = await once(member(wire, arena.port), 'connectFailed')
  expect(reason).toMatchObject({ code: 'ERR_TLS_UNTRUSTED', message: expect.stringMatching(/option ca/) })
})

const IMPOSTORS = { 'one like it, of another key': 'same-name', 'one of an authority': 'server' } as const

describe.each(WIRES)('over %s', wire => {
  // With the same one and another key no handshake ends.
  test.each(Object.entries(IMPOSTORS))(
    'whoever shows %s for the same name is not taken for it',
    async (_, name) => {
      const impostor = tls.createServer(material(name)).listen(0, '127.0.0.1')
      await once(impostor, 'listening')
      impostor.on('tlsClientError', () => {})
      const { port } = impostor.address() as AddressInfo
      try {
        expect(await opinionOfNode(port, OWN.cert)).toMatch(/SELF_SIGNED|UNABLE_TO|SIGNATURE/)
        const [reason] = await once(member(wire, port, OWN.cert), 'connectFailed')
        expect(reason).toMatchObject({ code: 'ERR_TLS_UNTRUSTED' })
      } finally {
        await clients.pop()!.close()
        impostor.close()
      }
    },
  )
})

test('hundreds who break off at the certificate, or never go on, keep nobody out', async () => {
  many(300, () => knock(Buffer.from([0x16, 3, 1])))
  const opinions = await Promise.all(many(200, () => opinionOfNode(arena.port)))
  expect(new Set(opinions)).toEqual(new Set(['DEPTH_ZERO_SELF_SIGNED_CERT']))
  await member('selvedge', arena.port, OWN.cert).waitUntilReady({ timeout: 5000 })
})
