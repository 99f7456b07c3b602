// Whoever waits for an answer goes on before the handlers see what the other side wrote behind it.
import { describeFabrics } from '../support/fabrics'
import { numbers, pair } from '../support/sockets'

describeFabrics('an answer, and data behind it', fabric => {
  test('are seen in that order, however many come together', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', message => {
      message.respondSync(`answer ${message.data}`)
      server.write(`data ${message.data}`)
      server.write(`more ${message.data}`)
    })
    const seen: string[] = []
    const done = new Promise<void>(resolve => {
      socket.on('data', data => {
        seen.push(data)
        if (data === 'more 20') resolve()
      })
    })
    const asked = numbers(1, 20).map(async n => {
      seen.push((await socket.request(n)).data)
    })
    await Promise.all([...asked, done])
    for (const n of numbers(1, 20)) {
      const places = ['answer', 'data', 'more'].map(what => seen.indexOf(`${what} ${n}`))
      expect(places).toEqual([...places].sort((a, b) => a - b))
    }
  })

  test('are seen in that order by a loop over several answers', async () => {
    const { server, socket } = await pair(fabric)
    server.on('request', message => {
      message.respondSync(1)
      message.respondSync(2)
      server.write('behind')
    })
    const seen: unknown[] = []
    const behind = new Promise<void>(resolve => {
      socket.on('data', data => resolve(void seen.push(data)))
    })
    for await (const answer of socket.requestMany(null, { maxMessages: 2 })) seen.push(answer.data)
    await behind
    expect(seen).toEqual([1, 2, 'behind'])
  })
})
