// While JavaScript is busy the engine reads on; while it is idle it reads by itself (docs/internals/boundary.md).
import { type Client, type ConatServer, connect, init } from 'selvedge'
import { until } from '../support/events'
import { start } from './run'

let broker: ConatServer
let address: string
let client: Client

beforeAll(async () => {
  broker = init({ port: 0 })
  await broker.waitUntilReady()
  address = `http://127.0.0.1:${broker.address()!.port}`
  client = connect({ address, noCache: true })
})

afterAll(async () => {
  await client.close()
  await broker.close()
})

test('what comes while JavaScript is busy is read all the same, and handed over in order afterwards', async () => {
  // 20 MB: more than the operating system holds for a connection, less than the engine holds for JavaScript.
  const [count, size] = [20_000, 1024]
  const program = start('busy.mjs', [address, 'busy', String(count)], { input: true })
  await program.printed('subscribed')
  const message = (n: number) => {
    const bytes = Buffer.alloc(size)
    bytes.writeUInt32LE(n)
    return bytes
  }
  client.publishSync('busy', message(0))
  await program.printed('busy')
  for (let n = 1; n < count; n++) {
    if (n % 1000 === 0) await client.publish('busy', message(n))
    else client.publishSync('busy', message(n))
  }
  await client.publish('busy.nobody', null)
  // Whatever the broker held for the program is with the program, which is as busy as before.
  await until(() => broker.totals!.outbox.bytes === 0)
  expect(program.output()).toBe('subscribed busy ')
  program.child.stdin!.end()
  expect(await program.ended).toMatchObject({ code: 0, stdout: `subscribed busy free ${count}`, stderr: '' })
})
