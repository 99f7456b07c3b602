// Loops over the connections of a listener.
import { once } from 'node:events'
import type { Client, ConatSocketClient, ConatSocketServer, ServerSocket } from 'selvedge'
import { until } from '../support/events'
import { describeFabrics } from '../support/fabrics'

/** A client's end whose server's end exists. */
async function arrive(client: Client, listener: ConatSocketServer, id: string): Promise<ConatSocketClient> {
  const socket = client.socket.connect('chat', { id })
  await socket.waitUntilReady()
  // Ready at the client is a moment before, or behind, the server's own.
  await until(() => listener.sockets[id] !== undefined)
  return socket
}

describeFabrics('a loop over connections', fabric => {
  async function listen(): Promise<ConatSocketServer> {
    const listener = fabric.client().socket.listen('chat')
    await listener.waitUntilReady()
    return listener
  }

  test('gets those that came before it, those that come between its steps, and those that it waits for', async () => {
    const listener = await listen()
    const client = fabric.client()
    await arrive(client, listener, 'before')
    const loop = listener[Symbol.asyncIterator]()
    const ids = [(await loop.next()).value!.id]
    await arrive(client, listener, 'between-1')
    await arrive(client, listener, 'between-2')
    for (let left = 2; left > 0; left -= 1) ids.push((await loop.next()).value!.id)
    const waiting = loop.next()
    await arrive(client, listener, 'awaited')
    ids.push((await waiting).value!.id)
    expect(ids).toEqual(['before', 'between-1', 'between-2', 'awaited'])
  })

  test('ends with the listener, and passes over those that have closed meanwhile', async () => {
    const listener = await listen()
    const loop = listener[Symbol.asyncIterator]()
    const [gone, here] = [fabric.client(), fabric.client()]
    const first = await arrive(gone, listener, 'gone')
    await arrive(here, listener, 'here')
    const closed = once(listener.sockets.gone!, 'closed')
    await first.end()
    await closed
    expect((await loop.next()).value!.id).toBe('here')
    const last = loop.next()
    await listener.end()
    expect(await last).toEqual({ value: undefined, done: true })
    expect(await loop.next()).toEqual({ value: undefined, done: true })
    expect(await listener[Symbol.asyncIterator]().next()).toEqual({ value: undefined, done: true })
  })

  test('that is left retires the listener, which closes with its last socket', async () => {
    const listener = await listen()
    const other = fabric.client()
    const taken = await arrive(other, listener, 'taken')
    const waits = await arrive(other, listener, 'waits')
    const waitsClosed = once(waits, 'closed')
    let kept: ServerSocket | undefined
    for await (const socket of listener) {
      kept = socket
      break
    }
    expect(kept!.id).toBe('taken')
    const [reason] = await waitsClosed
    expect(reason).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BY_PEER' })
    kept!.on('data', data => kept!.write(data))
    taken.write('still there')
    expect((await once(taken, 'data'))[0]).toBe('still there')
    expect(listener.state).toBe('ready')
    const closed = once(listener, 'closed')
    await taken.end()
    expect(await closed).toEqual([undefined, 0])
  })

  test('beside listeners, and beside another one, gets the same', async () => {
    const listener = await listen()
    const loops = [listener[Symbol.asyncIterator](), listener[Symbol.asyncIterator]()]
    const heard = once(listener, 'connection')
    await arrive(fabric.client(), listener, 'one')
    const ids = await Promise.all(loops.map(async loop => (await loop.next()).value!.id))
    expect([...ids, (await heard)[0].id]).toEqual(['one', 'one', 'one'])
    await loops[0]!.return!()
    await arrive(fabric.client(), listener, 'two')
    expect((await loops[1]!.next()).value!.id).toBe('two')
    expect(await loops[0]!.next()).toEqual({ value: undefined, done: true })
    listener.on('connection', () => {})
    await loops[1]!.return!()
    await arrive(fabric.client(), listener, 'three')
    expect(Object.keys(listener.sockets).sort()).toEqual(['one', 'three', 'two'])
  })

  test('throws why the listener has ended, behind what had come', async () => {
    const controller = new AbortController()
    const why = new Error('enough')
    const client = fabric.client()
    // Nothing gets ready in the same tick.
    const listener = client.socket.listen('chat', { signal: controller.signal })
    const loop = listener[Symbol.asyncIterator]()
    const first = loop.next()
    controller.abort(why)
    await expect(first).rejects.toMatchObject({ code: 'ABORT_ERR', cause: why })
    expect(await loop.next()).toEqual({ value: undefined, done: true })
    await expect(listener[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'ABORT_ERR' })
  })
})
