// The idle time of `end()` is for an other side that does nothing: it does not run while this one has no broker.
import { once } from 'node:events'
import { connect, init, type ServerSocket } from 'selvedge'
import { faultProxy } from 'selvedge/testing'
import { disconnection, join, listening, take } from '../support/sockets'

test.each(['selvedge', 'conat'] as const)(
  'end() goes on when the broker is back, %s wire',
  async wire => {
    const broker = init({ port: 0, host: '127.0.0.1' })
    await broker.waitUntilReady()
    const proxy = await faultProxy({ target: broker.address()!.port })
    const quick = { reconnectionDelay: 5, reconnectionDelayMax: 50 }
    const guest = connect({ address: proxy.address, wire, noCache: true, ...quick })
    const listener = await listening(broker.client(), 'chat')
    const [server, socket] = await join(listener, guest)
    server.pause()
    socket.write('late')
    const lost = disconnection(socket)
    await proxy.refuse()
    await lost
    // Made meanwhile: it waits for the same.
    const fresh = guest.socket.connect('chat')
    fresh.write('later')
    const ended = Promise.all([socket, fresh].map(one => one.end({ idle: 200 })))
    const early = await Promise.race([
      ended.then(
        () => 'ended',
        () => 'given up',
      ),
      new Promise(resolve => setTimeout(resolve, 800, 'open')),
    ])
    expect(early).toBe('open')
    const [closed, received] = [once(server, 'closed'), take(server, 1)]
    const others = once(listener, 'connection') as Promise<[ServerSocket]>
    await proxy.restore()
    server.resume()
    expect(await received).toEqual(['late'])
    expect(await take((await others)[0], 1)).toEqual(['later'])
    await ended
    await closed
    await guest.close()
    await proxy.close()
    await broker.close()
  },
  20_000,
)

test.each(['selvedge', 'conat'] as const)(
  'end() is over where the broker stays away, and says that this is why, %s wire',
  async wire => {
    const broker = init({ port: 0, host: '127.0.0.1' })
    await broker.waitUntilReady()
    const proxy = await faultProxy({ target: broker.address()!.port })
    const quick = { reconnectionDelay: 5, reconnectionDelayMax: 50 }
    const guest = connect({ address: proxy.address, wire, noCache: true, ...quick })
    const [server, socket] = await join(await listening(broker.client(), 'chat'), guest)
    server.pause()
    socket.write('never read')
    const lost = disconnection(socket)
    await proxy.refuse()
    await lost
    const never = guest.socket.connect('chat')
    never.write('never sent')
    const ends = [socket.end({ idle: 100 }), never.end({ idle: 100 }), guest.socket.connect('chat').end()]
    const [left, unsent, nothing] = await Promise.allSettled(ends)
    const why = { code: expect.stringMatching(/^ECONN/) }
    const rejected = { status: 'rejected', reason: { code: 'ERR_UNDELIVERED', undelivered: 1, cause: why } }
    expect([left, unsent]).toMatchObject([rejected, rejected])
    expect(nothing).toMatchObject({ status: 'fulfilled' })
    await guest.close()
    await proxy.close()
    await broker.close()
  },
)
