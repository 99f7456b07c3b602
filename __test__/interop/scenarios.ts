// What two ends of a socket must manage, whoever made them and the broker.
import { once } from 'node:events'
import type { Pair, Socket } from './parties'

/** Opens the pair of this test, closed after it. */
export type Open = (options?: { server?: object; client?: object }) => Promise<Pair>

export const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i)

export async function streamBothWays(open: Open): Promise<void> {
  const { client, server, received } = await open()
  for (const i of numbers(0, 200)) {
    client.write({ i, at: new Date(i) }, { headers: { my: 'header', i } })
    server.write(`re:${i}`, i % 2 ? { headers: { i } } : undefined)
  }
  expect(await received.server.until(200)).toEqual(numbers(0, 200).map(i => ({ i, at: new Date(i) })))
  expect(received.server.headers).toEqual(numbers(0, 200).map(i => ({ my: 'header', i })))
  expect(await received.client.until(200)).toEqual(numbers(0, 200).map(i => `re:${i}`))
  expect(received.client.headers).toEqual(numbers(0, 200).map(i => (i % 2 ? { i } : {})))
  await Promise.all([client.drain(), server.drain()])
}

export async function askBothWays(open: Open): Promise<void> {
  const { client, server } = await open()
  await ask(client, server)
  await ask(server, client)
}

async function ask(asker: Socket, answerer: Socket): Promise<void> {
  const responses: Promise<unknown>[] = []
  answerer.on('request', message => {
    responses.push(message.respond({ got: message.data }, { headers: { re: message.headers.my } }))
  })
  const answers = await Promise.all(numbers(0, 20).map(i => asker.request(i, { headers: { my: i } })))
  expect(answers.map(answer => answer.data)).toEqual(numbers(0, 20).map(got => ({ got })))
  expect(answers.map(answer => answer.headers)).toEqual(numbers(0, 20).map(re => ({ re })))
  await Promise.all(responses)
}

export async function send12MB(open: Open): Promise<void> {
  const { client, server, received } = await open()
  const big = Buffer.alloc(12_000_000, 'thrums and selvedges, ')
  client.write(big, { headers: { big: true } })
  client.write('after')
  const [first, second] = await received.server.until(2)
  expect(big.equals(first as Buffer)).toBe(true)
  expect([received.server.headers[0], second]).toEqual([{ big: true }, 'after'])
  server.write(first)
  const [back] = await received.client.until(1)
  expect(big.equals(back as Buffer)).toBe(true)
}

export async function restartBroker(open: Open): Promise<void> {
  const { client, server, broker, received } = await open()
  const write = (from: number, to: number) => {
    for (const i of numbers(from, to)) {
      client.write(i)
      server.write(i)
    }
  }
  write(0, 50)
  await received.server.until(20)
  const restarted = broker.restart()
  write(50, 100)
  await restarted
  write(100, 150)
  await Promise.all([received.server.until(150), received.client.until(150)])
  client.write('end')
  server.write('end')
  const all = [...numbers(0, 150), 'end']
  expect(await received.server.until(151)).toEqual(all)
  expect(await received.client.until(151)).toEqual(all)
}

export async function cutEachTransport(open: Open): Promise<void> {
  const { client, server, fabrics, received } = await open()
  let count = 0
  for (const fabric of [fabrics.client, fabrics.server]) {
    const write = () => {
      for (const _ of numbers(0, 30)) {
        client.write(count)
        server.write(count++)
      }
    }
    write()
    fabric.cut()
    write()
    await Promise.all([received.server.until(count), received.client.until(count)])
    // Both ways once more, so that a repetition would show.
    write()
    expect(await received.server.until(count)).toEqual(numbers(0, count))
    expect(await received.client.until(count)).toEqual(numbers(0, count))
  }
}

export async function closeBy(open: Open, by: 'client' | 'server' | 'listener'): Promise<void> {
  const opened = await open()
  const other = by === 'client' ? opened.server : opened.client
  const closed = once(other, 'closed')
  opened[by].close()
  await closed
  expect(other.state).toBe('closed')
  expect(() => other.write('more')).toThrow(expect.objectContaining({ code: 'EPIPE' }))
}
