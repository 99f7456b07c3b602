// What channels of diagnostics_channel tell, over every way to plug in.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Message } from 'selvedge'
import { describeFabric, type Kind } from '../support/fabrics'
import { pair } from '../support/sockets'

const heard: [string, Record<string, any>][] = []
const listeners: [string, (message: unknown) => void][] = []

function hear(...names: string[]): void {
  for (const name of names) {
    const listener = (message: unknown): void => {
      heard.push([name, message as Record<string, any>])
    }
    subscribe(name, listener)
    listeners.push([name, listener])
  }
}

const of = (name: string) => heard.filter(([heardName]) => heardName === name).map(([, message]) => message)

afterEach(() => {
  for (const [name, listener] of listeners.splice(0)) unsubscribe(name, listener)
  heard.length = 0
})

for (const kind of ['in-process', 'conat wire', 'selvedge wire'] as const satisfies readonly Kind[]) {
  describeFabric(kind, 'channels', fabric => {
    test('tell of what is published, whose headers can be added to', async () => {
      const [writer, reader] = [fabric.client(), fabric.client()]
      const listener = (message: unknown): void => {
        const { headers } = message as { headers: Record<string, unknown> }
        headers.added = true
      }
      subscribe('selvedge:publish', listener)
      listeners.push(['selvedge:publish', listener])
      hear('selvedge:publish')
      const subscription = await reader.subscribe('told')
      const given = { mine: 1 }
      await writer.publish('told', 'x', { headers: given })
      writer.publishSync('told', 'x')
      const first = (await subscription.next()).value as Message
      const second = (await subscription.next()).value as Message
      expect([first.headers, second.headers]).toEqual([{ mine: 1, added: true }, { added: true }])
      expect(given).toEqual({ mine: 1 })
      expect(of('selvedge:publish')[0]).toMatchObject({ subject: 'told', bytes: 2 })
      expect(of('selvedge:publish')[0]!.client).toBe(writer)
    })

    test('tell of clients, subscriptions and sockets, from their begin to their end', async () => {
      hear(
        'selvedge:client:connect',
        'selvedge:subscription:open',
        'selvedge:subscription:close',
        'selvedge:socket:open',
        'selvedge:socket:ready',
        'selvedge:socket:close',
        'selvedge:socket:write',
        'selvedge:listener:connection',
      )
      const { socket, server, listener, guest } = await pair(fabric)
      const subscription = await guest.subscribe('some.*')
      subscription.close()
      server.on('data', () => {})
      socket.write('hello')
      await socket.end()
      await listener.end()
      expect(of('selvedge:client:connect').some(({ client }) => client === guest)).toBe(true)
      const opened = of('selvedge:subscription:open').filter(({ pattern }) => pattern === 'some.*')
      expect(opened).toHaveLength(1)
      expect(opened[0]).toMatchObject({ client: guest, subscription, queue: subscription.queue })
      expect(of('selvedge:subscription:close').some(told => told.subscription === subscription)).toBe(true)
      for (const name of ['open', 'ready', 'close']) {
        const told = of(`selvedge:socket:${name}`)
        expect(told.map(({ role }) => role).sort()).toEqual(['client', 'server'])
        expect(told.find(({ role }) => role === 'client')!.socket).toBe(socket)
      }
      expect(of('selvedge:socket:write')).toEqual([{ socket: expect.anything(), headers: {}, bytes: 6 }])
      expect(of('selvedge:listener:connection')).toMatchObject([{ listener, socket: server }])
    })

    test('tell of requests and their handlers, and of why they failed', async () => {
      const client = fabric.client()
      hear(
        'tracing:selvedge:request:start',
        'tracing:selvedge:request:asyncEnd',
        'tracing:selvedge:request:error',
        'tracing:selvedge:handle:start',
      )
      const subscription = await client.subscribe('asked')
      subscription.emitter.on('message', (message: Message) => message.respondSync('yes'))
      expect((await client.request('asked')).data).toBe('yes')
      await client.request('nobody').catch(() => {})
      expect(of('tracing:selvedge:request:start').map(({ subject }) => subject)).toEqual(['asked', 'nobody'])
      expect(of('tracing:selvedge:request:asyncEnd').map(({ subject }) => subject)).toEqual([
        'asked',
        'nobody',
      ])
      expect(of('tracing:selvedge:request:error')).toMatchObject([{ error: { code: 503 } }])
      expect(of('tracing:selvedge:handle:start')).toMatchObject([{ subject: 'asked', template: 'asked' }])
    })
  })
}
