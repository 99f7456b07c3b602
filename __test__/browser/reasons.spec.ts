// What a page is told with a code: errors as answers, both ways, and why a server does not let it in or throws it out.
import { FabricError } from 'selvedge'
import type { ClientSocket } from 'selvedge/browser'
import { describeFabric } from '../support/fabrics'
import { rejection } from '../support/messages'
import { listening } from '../support/sockets'
import { closePages, next, pageClient } from './party'

afterEach(closePages)

const FUNDS = (): Error => new FabricError('no money', 'E_FUNDS')
const TOLD = { code: 'E_FUNDS', message: 'no money' }

describeFabric('selvedge wire', 'a page', fabric => {
  const page = () => pageClient(fabric.remote.address as string)

  test.each(['respond', 'respondSync'] as const)('asks, and is answered with an error by %s', async way => {
    const subscription = await fabric.client().subscribe('bank')
    subscription.emitter.on('message', message => void message[way](FUNDS()))
    expect(await rejection(page().request('bank', 1))).toMatchObject(TOLD)
  })

  test.each(['respond', 'respondSync'] as const)('answers with an error by %s', async way => {
    const subscription = await page().subscribe('bank')
    subscription.emitter.on('message', message => void message[way](FUNDS()))
    expect(await rejection(fabric.client().request('bank', 1))).toMatchObject(TOLD)
    expect(await rejection(page().request('bank', 1))).toMatchObject(TOLD)
  })

  async function closed(socket: ClientSocket): Promise<unknown> {
    const asked = rejection(socket.request('in?'))
    const reason = await next(socket, 'closed')
    expect(await asked).toMatchObject({ code: 'EPIPE', cause: TOLD })
    return reason
  }

  test('is told why a middleware refuses it', async () => {
    const listener = fabric.client().socket.listen('vault')
    listener.use(() => {
      throw FUNDS()
    })
    await listener.waitUntilReady()
    expect(await closed(page().socket.connect('vault'))).toMatchObject(TOLD)
  })

  test('is told why a room was closed, behind what was written before', async () => {
    const listener = fabric.client().socket.listen('vault')
    listener.on('connection', socket => {
      socket.join('all')
      socket.write('last words')
      listener.to('all').close(FUNDS())
    })
    await listener.waitUntilReady()
    const socket = page().socket.connect('vault')
    const heard: unknown[] = []
    socket.on('data', data => heard.push(data))
    expect(await closed(socket)).toMatchObject(TOLD)
    expect(heard).toEqual(['last words'])
  })

  test('is told that another server has the place of its own, and a loop does not end in order', async () => {
    const [first, second] = [fabric.client(), fabric.client()]
    await listening(first, 'vault', { id: 'main' })
    const socket = page().socket.connect('vault')
    await socket.waitUntilReady()
    const loop = async () => {
      for await (const _ of socket);
    }
    const read = rejection(loop())
    await listening(second, 'vault', { id: 'main' })
    // It may ask the newer one before it hears from the older one.
    expect((await read).code).toMatch(/^ERR_(SUPERSEDED|SOCKET_LOST)$/)
  })
})
