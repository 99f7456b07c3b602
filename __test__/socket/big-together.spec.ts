// Several large messages at once to one server: all of them get through, nobody is cut off for them, and small messages
// go between.
import { describeTransports } from '../support/fabrics'
import { numbers } from '../support/sockets'

const MB = 1_000_000
const CLIENTS = 5

describeTransports('large messages together', fabric => {
  test('arrive whole, whoever else sends, and small ones go between', async () => {
    const listener = fabric.client().socket.listen('heap')
    await listener.waitUntilReady(5000)
    // Together more than the broker keeps for one reader.
    const size = 15 * MB
    const arrived: [number, number][] = []
    listener.on('connection', socket =>
      socket.on('data', data => {
        if (typeof data === 'number') socket.write(data)
        else arrived.push([data.length, data[size - 1]])
      }),
    )
    const small = fabric.client().socket.connect('heap')
    const sockets = numbers(1, CLIENTS).map(() => fabric.client().socket.connect('heap'))
    await Promise.all([small, ...sockets].map(socket => socket.waitUntilReady(5000)))
    let rounds = 0
    small.on('data', n => {
      rounds++
      small.write(n + 1)
    })
    small.write(1)
    let times = 0
    do {
      times += 1
      await Promise.all(sockets.map((socket, n) => socket.send(Buffer.alloc(size, n))))
      // All may be through before a small one has been there and back.
    } while (rounds === 0 && times < 5)
    expect(rounds).toBeGreaterThan(0)
    const expected = sockets.flatMap((_, n) => Array.from({ length: times }, () => [size, n]))
    expect(arrived.sort((a, b) => a[1] - b[1])).toEqual(expected)
    if (fabric.kind !== 'nats') expect(fabric.broker.totals?.slowConsumers).toBe(0)
  })
})
