// A datagram socket whose subject is taken back hears of it, instead of nothing for ever.
import { once } from 'node:events'
import { over, type Socket } from 'selvedge/dgram'
import { sockets } from 'selvedge/net'
import { describeFabrics } from '../support/fabrics'
import { disconnection } from '../support/sockets'

const failure = (socket: Socket): Promise<NodeJS.ErrnoException & { cause?: { code?: unknown } }> =>
  new Promise(resolve => socket.once('error', resolve as (error: Error) => void))

let refused = ''
describeFabrics(
  'datagram sockets without their permission',
  fabric => {
    beforeEach(() => {
      refused = ''
      fabric.meetAtOneBroker()
    })

    async function takeBack(client: ReturnType<typeof fabric.client>, subject: string, when: string) {
      refused = subject
      if (when === 'at once') fabric.broker.revalidate()
      else {
        const away = disconnection(client)
        client.disconnect()
        await away
        client.connect()
      }
    }

    test.each([
      ['alone', 'at once', {}],
      ['alone', 'in a reconnect', {}],
      ['of a queue', 'at once', { queue: 'readers' }],
    ])('a bound socket %s, %s: EACCES, and it closes', async (_, when, options) => {
      const client = fabric.client()
      const desk = over(client).createSocket('subject')
      await once(desk.bind({ subject: 'taken.desk', ...options }), 'listening')
      const events: string[] = []
      const end = new Promise<void>(resolve => desk.once('close', () => resolve()))
      for (const name of ['error', 'close'] as const) desk.on(name, () => events.push(name))
      const told = failure(desk)
      await takeBack(client, 'taken.desk', when)
      const error = await told
      expect(error).toMatchObject({ code: 'EACCES', syscall: 'bind', address: 'taken.desk' })
      expect(error.cause?.code).toBe(403)
      await end
      expect(events).toEqual(['error', 'close'])
      expect(() => desk.send('x', 'taken.desk')).toThrow(
        expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' }),
      )
      expect(sockets()).toEqual([])
    })

    test.each(['at once', 'in a reconnect'])('a membership, %s: EACCES, and the rest goes on', async when => {
      const client = fabric.client()
      const desk = over(client).createSocket('subject')
      await once(desk.bind('kept.desk'), 'listening')
      desk.addMembership('taken.*')
      await client.waitUntilReady()
      const first = once(desk, 'message')
      // It stands when it is heard.
      const news = setInterval(() => desk.send('news', 'taken.news'), 5)
      await first
      clearInterval(news)
      const told = failure(desk)
      await takeBack(client, 'taken.*', when)
      expect(await told).toMatchObject({ code: 'EACCES', syscall: 'addMembership', address: 'taken.*' })
      // It is none any more.
      expect(() => desk.dropMembership('taken.*')).toThrow(expect.objectContaining({ code: 'EADDRNOTAVAIL' }))
      await client.waitUntilReady()
      desk.removeAllListeners('message')
      const [message] = await new Promise<unknown[]>(resolve => {
        desk.on('message', (...heard) => {
          if (String(heard[0]) === 'still here') resolve(heard)
        })
        desk.send('still here', 'kept.desk')
      })
      expect(String(message)).toBe('still here')
      await new Promise<void>(resolve => void desk.close(resolve))
    })
  },
  { isAllowed: ({ type, subject }) => type === 'pub' || subject !== refused },
)
