// Databases over subjects while the broker dies, and the process of `expose` freezes or is killed: a client of a database
// loses no row and no answer, or its own error says so, and its pool goes on.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type nodeNet from 'node:net'
import { dirname, join } from 'node:path'
import Redis, { AbstractConnector } from 'ioredis'
import { type Client, connect } from 'selvedge'
import { over, sockets } from 'selvedge/net'
import { endAll, Party, sleep, WIRES } from '../faults/party'
import { type Database, hasRedis, postgres, startPostgres, startRedis, told } from '../support/databases'
import { freeze } from '../support/freeze'

const pg = require('pg') as { Client: any; Pool: any; Query: any }
const WHO = { user: 'postgres', database: 'postgres' }
const ROWS = 20_000
const FROZEN_MS = 1500

jest.setTimeout(90_000)

let broker: { party: Party; port: number }
let client: Client
let net: ReturnType<typeof over>
let database: Database | undefined
const bridges: ChildProcess[] = []
const doors: nodeNet.Server[] = []

async function setUp(start: () => Promise<Database>, wire: (typeof WIRES)[number]): Promise<void> {
  database = await start()
  broker = await Party.broker()
  client = connect({ address: `http://127.0.0.1:${broker.port}`, noCache: true, wire })
  net = over(client)
}

afterEach(async () => {
  // While the other ends are there to answer.
  await Promise.all(doors.splice(0).map(door => new Promise(resolve => door.close(resolve))))
  while (sockets().length > 0) await sleep(5)
  await client.close()
  for (const bridge of bridges.splice(0)) bridge.kill('SIGKILL')
  await endAll()
  await database?.stop()
  database = undefined
})

/** Another process that exposes the database. */
async function expose(): Promise<ChildProcess> {
  const program = fork(join(__dirname, 'programs', 'bridge.cjs'), [
    String(broker.port),
    'expose',
    database!.path,
  ])
  bridges.push(program)
  await once(program, 'message')
  return program
}

async function restartBroker(): Promise<void> {
  await broker.party.kill()
  broker = await Party.broker(broker.port)
}

/** How a client of a database reaches it: by a stream of ours, or by a port here. */
const WAYS: Record<string, () => Promise<object>> = {
  'a stream': async () => ({ stream: () => new net.Socket({ subject: 'bridge' }) }),
  'a forward': async () => {
    const door = net.forward('bridge', { port: 0 }) as nodeNet.Server
    doors.push(door)
    if (!door.listening) await once(door, 'listening')
    return { host: '127.0.0.1', port: (door.address() as nodeNet.AddressInfo).port }
  },
}

/** Resolves when the database takes logins, which is after its socket is there. */
async function takesLogins(way: object): Promise<void> {
  for (;;) {
    const first = new pg.Client({ ...WHO, ...way })
    try {
      await first.connect()
      return await first.end()
    } catch (error) {
      if (!['57P03', 'ECONNREFUSED', 'ENOENT'].includes((error as { code: string }).code)) throw error
    }
  }
}

/** The numbers of the rows of one long answer; `at` is called once so many have come. */
function rowsOf(postgres: any, at: ReadonlyMap<number, () => void>): Promise<number[]> {
  const query = new pg.Query(`select n, repeat('x', 500) t from generate_series(1, ${ROWS}) n`)
  const numbers: number[] = []
  query.on('row', ({ n, t }: { n: number; t: string }) => {
    if (t.length === 500) numbers.push(n)
    at.get(numbers.length)?.()
  })
  const done = new Promise<number[]>((resolve, reject) => {
    query.on('end', () => resolve(numbers))
    query.on('error', reject)
  })
  postgres.query(query)
  return done
}

/** Asks PostgreSQL itself, beside the fabric. */
async function asks(query: string): Promise<any[]> {
  const direct = new pg.Client({ ...WHO, host: dirname(database!.path) })
  await direct.connect()
  const { rows } = await direct.query(query)
  await direct.end()
  return rows
}

/** A client of Redis that repeats nothing when its connection ends. */
function redisBy(way: { stream?: () => any; port?: number }): Redis {
  const options = { maxRetriesPerRequest: 0, retryStrategy: () => 50 }
  const { stream, port } = way
  const Connector = class extends AbstractConnector {
    override connect() {
      this.connecting = true
      return Promise.resolve((this.stream = stream!().connect('bridge')))
    }
  }
  const redis = new Redis(
    port === undefined ? { ...options, Connector: Connector as never } : { ...options, port },
  )
  // It connects again and again until somebody exposes it.
  return redis.on('error', () => {})
}

// Conat's wire does not say that a process was killed: there it is known when a keep-alive is not answered, after 45 s.
describe.each(WIRES)('over the wire %s', wire => {
  describe.each(Object.keys(WAYS))('PostgreSQL by %s', name => {
    const reach = (): Promise<object> => WAYS[name]!()
    const withPostgres = postgres === undefined ? test.skip : test
    const isTold = wire === 'selvedge' ? withPostgres : test.skip

    withPostgres(told('the broker dies twice in a long answer', postgres !== undefined), async () => {
      await setUp(() => startPostgres(postgres!), wire)
      await expose()
      const way = await reach()
      await takesLogins(way)
      const client = new pg.Client({ ...WHO, ...way })
      await client.connect()
      const restarts: Promise<void>[] = []
      const restart = (): void => void restarts.push(restartBroker())
      const numbers = await rowsOf(
        client,
        new Map([
          [1000, restart],
          [ROWS / 2, () => void restarts.push(restarts[0]!.then(restartBroker))],
        ]),
      )
      expect(numbers).toEqual(Array.from({ length: ROWS }, (_, n) => n + 1))
      await Promise.all(restarts)
      const { rows } = await client.query('select 7 v')
      expect(rows).toEqual([{ v: 7 }])
      await client.end()
    })

    withPostgres(told('the process of expose freezes in a long answer', postgres !== undefined), async () => {
      await setUp(() => startPostgres(postgres!), wire)
      const program = await expose()
      const way = await reach()
      await takesLogins(way)
      const client = new pg.Client({ ...WHO, ...way })
      await client.connect()
      const numbers = await rowsOf(
        client,
        new Map([
          [
            1000,
            () =>
              void freeze(program.pid!)
                .then(() => sleep(FROZEN_MS))
                .then(() => program.kill('SIGCONT')),
          ],
        ]),
      )
      expect(numbers).toEqual(Array.from({ length: ROWS }, (_, n) => n + 1))
      await client.end()
    })

    isTold(
      told(
        'another process exposes it after the first was killed: queries fail, the pool goes on',
        postgres !== undefined,
      ),
      async () => {
        await setUp(() => startPostgres(postgres!), wire)
        const program = await expose()
        const way = await reach()
        await takesLogins(way)
        const pool = new pg.Pool({ ...WHO, ...way, max: 4 })
        pool.on('error', () => {})
        await Promise.all(Array.from({ length: 8 }, () => pool.query('select 1')))
        // None of these ends by itself.
        const stuck = Promise.allSettled(Array.from({ length: 4 }, () => pool.query('select pg_sleep(1000)')))
        const sleepers =
          "select 1 from pg_stat_activity where state = 'active' and query like 'select pg_sleep%'"
        while ((await asks(sleepers)).length < 4);
        program.kill('SIGKILL')
        // Who waits for the old one is told when another is there.
        await expose()
        const failed = await stuck
        expect(failed.map(({ status }) => status)).toEqual(Array(4).fill('rejected'))
        const answers = await Promise.all(
          Array.from({ length: 20 }, (_, n) => pool.query('select $1::int v', [n])),
        )
        expect(answers.map(({ rows }) => rows[0].v)).toEqual(Array.from({ length: 20 }, (_, n) => n))
        await pool.end()
      },
    )
  })

  describe('Redis', () => {
    const withRedis = hasRedis ? test : test.skip
    const isTold = wire === 'selvedge' ? withRedis : test.skip

    withRedis.each(Object.keys(WAYS))(
      told('by %s: the broker dies twice under a pipeline, and every command is done once', hasRedis),
      async name => {
        await setUp(startRedis, wire)
        const program = await expose()
        const way = await WAYS[name]!()
        const redis = redisBy(way)
        await redis.set('count', 0)
        const counted: number[] = []
        const all: Promise<unknown>[] = []
        const restarts: Promise<void>[] = []
        for (let n = 1; n <= 10_000; n += 1) {
          all.push(redis.incr('count').then(value => counted.push(value)))
          if (n % 4000 === 0) restarts.push((restarts.at(-1) ?? Promise.resolve()).then(restartBroker))
          if (n === 6000)
            void freeze(program.pid!)
              .then(() => sleep(FROZEN_MS))
              .then(() => program.kill('SIGCONT'))
          if (n % 100 === 0) await new Promise(setImmediate)
        }
        await Promise.all([...all, ...restarts])
        expect(counted).toEqual(Array.from({ length: 10_000 }, (_, n) => n + 1))
        await redis.quit()
      },
    )

    isTold.each(Object.keys(WAYS))(
      told(
        'by %s: another process exposes it after the first was killed: what waits fails, it goes on',
        hasRedis,
      ),
      async name => {
        await setUp(startRedis, wire)
        const program = await expose()
        const redis = redisBy(await WAYS[name]!())
        await redis.set('name', 'first')
        const beside = new Redis(database!.path)
        // Waits until something comes.
        const waits = redis.blpop('nothing', 0)
        const failed = expect(waits).rejects.toThrow()
        while (!((await beside.client('LIST')) as string).includes('cmd=blpop'));
        program.kill('SIGKILL')
        await expose()
        await failed
        if (redis.status !== 'ready') await once(redis, 'ready')
        expect(await redis.get('name')).toBe('first')
        await Promise.all([redis.quit(), beside.quit()])
      },
    )
  })
})
