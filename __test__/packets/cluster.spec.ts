// An intercom of three processes: many calls, one process frozen, one killed. Every call is settled, and nothing is lost.
import { type ConatServer, init } from 'selvedge'
import { Child } from './child'

let broker: ConatServer
let nodes: { a: Child; b: Child; c: Child }

beforeAll(async () => {
  broker = init({ port: 0, host: '127.0.0.1' })
  await broker.waitUntilReady()
  const address = `http://127.0.0.1:${broker.address()!.port}`
  const [a, b, c] = (await Promise.all([1, 2, 3].map(() => Child.start('node.cjs')))) as [Child, Child, Child]
  nodes = { a, b, c }
  for (const [node, child] of Object.entries(nodes))
    await child.ask('start', { address, node, timeout: 1500 })
})

afterAll(async () => {
  for (const child of [nodes.a, nodes.b]) {
    expect((await child.ask('report')).broken).toEqual([])
    await child.stop()
  }
  await broker.close()
})

test('1000 calls have the answers of all three', async () => {
  const told = await nodes.a.ask('call', { count: 1000, parallel: 50 })
  expect(told).toEqual({ whole: 1000, short: 0, failed: {}, wrong: [] })
  for (const child of Object.values(nodes)) expect((await child.ask('report')).handled).toBe(1000)
})

test('while one is frozen calls fail in their time with what the others said, and later all is as before', async () => {
  nodes.c.signal('SIGSTOP')
  const told = await nodes.b.ask('call', { count: 20, parallel: 20 })
  expect(told).toEqual({
    whole: 0,
    short: 0,
    failed: { 'ERR_INTERCOM_TIMEOUT of c, 2 responses': 20 },
    wrong: [],
  })
  nodes.c.signal('SIGCONT')
  expect((await nodes.c.ask('report')).broken).toEqual([])
  expect(await nodes.b.ask('call', { count: 50, parallel: 10 })).toEqual({
    whole: 50,
    short: 0,
    failed: {},
    wrong: [],
  })
})

test('one that is killed among many calls ends none of them, and is no slot any more', async () => {
  const calls = nodes.a.ask('call', { count: 1000, parallel: 20 })
  await nodes.b.ask('call', { count: 50, parallel: 10 })
  nodes.c.signal('SIGKILL')
  const told = await calls
  expect([told.failed, told.wrong]).toEqual([{}, []])
  expect(told.whole + told.short).toBe(1000)
  expect(await nodes.a.ask('call', { count: 100, parallel: 10 })).toEqual({
    whole: 0,
    short: 100,
    failed: {},
    wrong: [],
  })
})
