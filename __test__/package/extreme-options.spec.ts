// Numbers at the ends of what a double can be, for every option that takes one: refused where it is given, or it works. The
// engine has integers of its own sizes, and what it could not read came out where nobody could catch it.
import { join } from 'node:path'
import { type Client, connect, FabricError, init } from 'selvedge'
import type { Option, Shape } from '../../lib/values/option-checks'

const shapesOf = (file: string) =>
  require(join(__dirname, '../../dist', `${file}.js`)) as Record<string, Shape>
const { CLIENT_SHAPE } = shapesOf('client/options')
const { SERVER_SHAPE } = shapesOf('broker/options')
const { LISTEN_SHAPE, CONNECT_SHAPE } = shapesOf('socket/options')
const EXTREMES = [
  ...[0, 1, -1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 64, 1e20, Number.MAX_VALUE],
  ...[Number.MIN_VALUE, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
]

/** The options that take a number of some size. */
function numeric(shape: Shape): string[] {
  return Object.keys(shape).filter(name => {
    const option = shape[name] as Option | ((name: string, value: unknown) => void)
    const check = typeof option === 'function' ? option : option.check
    return [1, 5000, 100_000].some(value => {
      try {
        check(name, value)
      } catch {
        return false
      }
      try {
        check(name, 'a text')
        return false
      } catch {
        return true
      }
    })
  })
}

/** Opens something with each; what is accepted must work. */
async function tryAll(
  names: readonly string[],
  open: (options: object) => () => Promise<unknown>,
): Promise<void> {
  for (const name of names) {
    for (const value of EXTREMES) {
      let works: () => Promise<unknown>
      try {
        works = open({ [name]: value })
      } catch (error) {
        expect(error).toBeInstanceOf(FabricError)
        expect((error as FabricError).message).toContain(name)
        continue
      }
      const failed = await works().then(
        () => undefined,
        error => error,
      )
      if (failed !== undefined) throw Error(`${name}: ${value} was accepted`, { cause: failed })
    }
  }
}

describe('sockets', () => {
  const broker = init({ port: null })
  let client: Client
  beforeAll(async () => {
    client = broker.client()
    await client.waitUntilReady()
  })
  afterAll(async () => {
    await client.close()
    await broker.close()
  })

  test('listen', async () => {
    const names = numeric(LISTEN_SHAPE!).filter(name => name !== 'timeout')
    expect(names).toContain('maxMessageBytes')
    await tryAll(names, options => {
      const listener = client.socket.listen('extreme', options)
      return () => listener.waitUntilReady().finally(() => listener.close())
    })
  })

  test('connect', async () => {
    const listener = client.socket.listen('there')
    listener.on('connection', socket => socket.on('data', data => socket.write(data)))
    await listener.waitUntilReady()
    // A timeout that is very short is kept.
    const names = numeric(CONNECT_SHAPE!).filter(name => name !== 'timeout')
    expect(names).toContain('maxQueueBytes')
    await tryAll(names, options => {
      const socket = client.socket.connect('there', options)
      const echoed = new Promise(resolve => socket.once('data', resolve))
      socket.write(1)
      return () => echoed.finally(() => socket.close())
    })
  })
})

test('connect of a client, and init', async () => {
  await tryAll(numeric(SERVER_SHAPE!), options => {
    const broker = init({ port: null, ...options })
    return async () => {
      await broker.waitUntilReady()
      await broker.close()
    }
  })
  const broker = init({ port: 0 })
  await broker.waitUntilReady()
  const names = numeric(CLIENT_SHAPE!).filter(name => !['timeout', 'connectTimeout'].includes(name))
  await tryAll(names, options => {
    const client = connect({ address: broker.address()!, noCache: true, ...options })
    return () => client.waitUntilReady().finally(() => client.close())
  })
  await broker.close()
})
