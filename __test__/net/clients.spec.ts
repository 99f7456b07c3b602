// Servers and clients of Node's and of others, unchanged, on subjects.
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { over, sockets } from 'selvedge/net'
import { Client as UndiciClient } from 'undici'
import { WebSocket, WebSocketServer } from 'ws'
import { CA, material } from '../support/certificates'
import { closed, until } from '../support/events'
import { describeFabrics } from '../support/fabrics'

/** A GET or POST with an agent. */
async function fetched(
  options: http.RequestOptions,
  body?: Buffer,
  from: Pick<typeof http, 'request'> = http,
): Promise<{ status: number | undefined; body: Buffer }> {
  const request = from.request({ host: 'web', method: body === undefined ? 'GET' : 'POST', ...options })
  request.end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return { status: response.statusCode, body: Buffer.concat(chunks) }
}

describeFabrics('clients', fabric => {
  let net = {} as ReturnType<typeof over>
  beforeEach(() => {
    net = over(fabric.client())
  })
  afterEach(() => until(() => sockets().length === 0))

  const echo: http.RequestListener = (request, response) => {
    response.setHeader('remote', String(request.socket.remoteAddress))
    request.pipe(response)
  }

  test('http: keep-alive, many at once, a large body, and its idle connections', async () => {
    const server = http.createServer(echo)
    const served = net.serve('web', server)
    await once(served, 'listening')
    const agent = net.agent({ subject: 'web', keepAlive: true, maxSockets: 4 })
    const bodies = Array.from({ length: 16 }, (_, n) => Buffer.from(`body ${n}`))
    const answers = await Promise.all(bodies.map(body => fetched({ agent }, body)))
    expect(answers.map(({ body }) => String(body))).toEqual(bodies.map(String))
    expect(sockets({ state: 'ESTABLISHED' }).length).toBe(8)
    const large = Buffer.alloc(8 * 1024 * 1024, 'large')
    expect((await fetched({ agent }, large)).body.equals(large)).toBe(true)
    // What the server closes, the agent opens anew.
    server.closeIdleConnections()
    await until(() => sockets({ state: 'ESTABLISHED' }).length === 0)
    expect((await fetched({ agent })).status).toBe(200)
    agent.destroy()
    await closed(served.close())
    server.close()
  })

  test('http by resolve, and https with the TLS of the agent', async () => {
    const server = https.createServer(material('server'), echo)
    const plain = http.createServer(echo)
    const served = [net.serve('hosts.secure', server), net.serve('hosts.plain', plain)]
    await Promise.all(served.map(each => once(each, 'listening')))
    const resolve = ({ host }: { host?: string }): string => `hosts.${host === 'plain' ? 'plain' : 'secure'}`
    const agent = net.agent({ resolve })
    expect(String((await fetched({ agent, host: 'plain' }, Buffer.from('p'))).body)).toBe('p')
    const secure = net.agent({ resolve, tls: { ca: CA, servername: 'localhost' } })
    expect(String((await fetched({ agent: secure, host: 'tls' }, Buffer.from('s'), https)).body)).toBe('s')
    agent.destroy()
    secure.destroy()
    await Promise.all(served.map(each => closed(each.close())))
    plain.close()
    server.close()
  })

  test('http2: 200 streams on one connection', async () => {
    const server = http2.createServer((request, response) => void request.pipe(response))
    const served = net.serve('web2', server)
    await once(served, 'listening')
    const session = http2.connect('http://web2', { createConnection: () => net.connect('web2') })
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, n) => {
        const stream = session.request({ ':method': 'POST' })
        stream.end(`stream ${n}`)
        let text = ''
        for await (const chunk of stream) text += chunk
        return text === `stream ${n}`
      }),
    )
    expect(answers.every(Boolean)).toBe(true)
    session.close()
    await closed(session)
    await closed(served.close())
  })

  test('ws: an upgrade, messages of any size, and its close', async () => {
    const server = http.createServer()
    const sockets = new WebSocketServer({ server })
    sockets.on('connection', socket =>
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })),
    )
    const served = net.serve('chat', server)
    await once(served, 'listening')
    const socket = new WebSocket('ws://chat/', { createConnection: (() => net.connect('chat')) as never })
    await once(socket, 'open')
    for (const size of [0, 1, 125, 126, 65_536, 1_000_000]) {
      const answer = once(socket, 'message') as Promise<[Buffer]>
      socket.send(Buffer.alloc(size, 'x'))
      expect((await answer)[0].length).toBe(size)
    }
    socket.close(4001, 'enough')
    expect((await once(socket, 'close'))[0]).toBe(4001)
    sockets.close()
    await closed(served.close())
  })

  test('undici: a client with pipelining', async () => {
    const server = http.createServer(echo)
    const served = net.serve('web', server)
    await once(served, 'listening')
    const client = new UndiciClient('http://web', {
      pipelining: 8,
      connect: (_options, callback) => {
        const socket = net.connect('web')
        socket.once('connect', () => callback(null, socket as never))
        socket.once('error', error => callback(error, null))
      },
    })
    const texts = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const { body } = await client.request({ path: '/', method: 'POST', body: `n ${n}`, idempotent: true })
        return await body.text()
      }),
    )
    expect(texts).toEqual(Array.from({ length: 20 }, (_, n) => `n ${n}`))
    await client.close()
    await closed(served.close())
    server.close()
  })
})
