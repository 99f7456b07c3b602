import { once } from 'node:events'
import type { Message } from 'selvedge'
import { describeFabrics, type Fabric } from './support/fabrics'
import { listening, pair, take } from './support/sockets'

const QUICK = { keepAlive: 50, keepAliveTimeout: 200 }

/** A peer made by hand of a subscription: it answers connects and pings, until it vanishes without a word. */
async function serverByHand(fabric: Fabric) {
  const client = fabric.client()
  const status = await client.subscribe('chat.server.status')
  const inbox = await client.subscribe('chat.server.byhand.*')
  const commands: string[] = []
  status.emitter.on('message', (message: Message) => message.respondSync({ id: 'byhand' }))
  inbox.emitter.on('message', (message: Message) => {
    const command = message.headers!['CN-SocketCmd'] as string
    commands.push(command)
    if (message.isRequest()) message.respondSync(command === 'connect' ? 'connected' : null)
  })
  const vanish = (): void => {
    status.close()
    inbox.close()
  }
  return { client, commands, vanish }
}

describeFabrics('keep-alive', fabric => {
  test('keeps two quiet sides together, which see each other', async () => {
    const { server, socket } = await pair(fabric, { listen: QUICK, connect: QUICK })
    expect([server.keepAlive, server.keepAliveTimeout]).toEqual([50, 200])
    expect([socket.keepAlive, socket.keepAliveTimeout]).toEqual([50, 200])
    const lost: string[] = []
    for (const side of [server, socket]) {
      side.on('disconnected', () => lost.push('disconnected'))
      side.on('closed', () => lost.push('closed'))
    }
    // Several rounds of asking: each waits longer than keepAlive and keepAliveTimeout together.
    for (let round = 0; round < 2; round++) {
      await expect(socket.waitUntilReady(1)).resolves.toBeUndefined()
      await new Promise(resolve => setTimeout(resolve, 400))
    }
    expect(lost).toEqual([])
    const received = take(server, 1)
    socket.write('still there')
    expect(await received).toEqual(['still there'])
  })

  test('asks a server that is silent', async () => {
    const { commands, client } = await serverByHand(fabric)
    const socket = fabric.client().socket.connect('chat', QUICK)
    await socket.waitUntilReady()
    const inbox = await client.subscribe('chat.server.byhand.*')
    for await (const message of inbox) if (message.headers!['CN-SocketCmd'] === 'ping') break
    expect(commands[0]).toBe('connect')
    expect(socket.state).toBe('ready')
  })

  test('notices a server that vanished, and finds the one that comes back', async () => {
    const { vanish } = await serverByHand(fabric)
    const guest = fabric.client()
    const socket = guest.socket.connect('chat', QUICK)
    await socket.waitUntilReady()
    const disconnected = once(socket, 'disconnected')
    vanish()
    await disconnected
    const ready = once(socket, 'ready')
    await serverByHand(fabric)
    await ready
  })

  test('leaves a vanished server alone without reconnection', async () => {
    const { vanish } = await serverByHand(fabric)
    const socket = fabric.client().socket.connect('chat', { ...QUICK, reconnection: false })
    await socket.waitUntilReady()
    const disconnected = once(socket, 'disconnected')
    vanish()
    await disconnected
    expect(socket.state).toBe('disconnected')
  })

  test('closes the server’s side of a client that vanished, with a reason', async () => {
    const listener = await listening(fabric.client(), 'chat', QUICK)
    const raw = fabric.client()
    const mine = await raw.subscribe('chat.client.raw')
    mine.emitter.on('message', (message: Message) => {
      if (message.isRequest()) message.respondSync(null)
    })
    const connection = once(listener, 'connection')
    const headers = { 'CN-SocketCmd': 'connect', id: 'raw' }
    const answer = await raw.request(`chat.server.${listener.id}.raw`, null, { headers })
    expect(answer.data).toBe('connected')
    const [server] = await connection
    server.write('never acknowledged')
    const closed = once(server, 'closed')
    mine.close()
    const [reason] = await closed
    expect(reason).toMatchObject({ code: 'ERR_SOCKET_TIMEOUT', undelivered: 1 })
    expect(listener.sockets).toEqual({})
  })

  test('of 0 never asks', async () => {
    const { commands, client } = await serverByHand(fabric)
    const socket = fabric.client().socket.connect('chat', { keepAlive: 0 })
    await socket.waitUntilReady()
    // Far longer than the keep-alive of the socket beside it takes to ask.
    const other = fabric.client().socket.connect('chat', { keepAlive: 50 })
    const inbox = await client.subscribe('chat.server.byhand.*')
    const pinged: string[] = []
    for await (const message of inbox) {
      if (message.headers!['CN-SocketCmd'] === 'ping') pinged.push(message.subject)
      if (pinged.length === 4) break
    }
    expect(commands).toContain('ping')
    expect(new Set(pinged)).toEqual(new Set([`chat.server.byhand.${other.id}`]))
  })
})
