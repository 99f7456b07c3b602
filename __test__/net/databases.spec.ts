// Real databases over subjects: PostgreSQL and Redis, by their own clients. Without their servers these tests are skipped, and
// say so.
import { once } from 'node:events'
import type nodeNet from 'node:net'
import Redis from 'ioredis'
import { over, type Server, sockets } from 'selvedge/net'
import { type Database, hasRedis, postgres, startPostgres, startRedis, told } from '../support/databases'
import { closed, portOf, until } from '../support/events'
import { describeFabric } from '../support/fabrics'

const pg = require('pg') as { Client: any; Pool: any }

for (const kind of ['selvedge wire', 'nats', 'gateways'] as const)
  describeFabric(kind, 'databases', fabric => {
    let net = {} as ReturnType<typeof over>
    let remote = {} as ReturnType<typeof over>
    const opened: (Server | nodeNet.Server)[] = []
    let database: Database | undefined

    beforeEach(() => {
      net = over(fabric.client())
      remote = over(fabric.client())
    })
    afterEach(async () => {
      await Promise.all(opened.splice(0).map(server => closed(server.close())))
      await database?.stop()
      database = undefined
      await until(() => sockets().length === 0)
    }, 60_000)

    async function open<S extends Server | nodeNet.Server>(server: S): Promise<S> {
      opened.push(server)
      await once(server, 'listening')
      return server
    }

    ;(postgres === undefined ? test.skip : test)(
      told('PostgreSQL: a client over a stream of ours, a pool through a forward', postgres !== undefined),
      async () => {
        database = await startPostgres(postgres!)
        await open(remote.expose('db.main', { path: database.path }))
        const who = { user: 'postgres', database: 'postgres' }
        const client = new pg.Client({ ...who, stream: () => new net.Socket({ subject: 'db.main' }) })
        // The socket is there before the server takes logins.
        for (;;) {
          const first = new pg.Client({ ...who, stream: () => new net.Socket({ subject: 'db.main' }) })
          try {
            await first.connect()
            await first.end()
            break
          } catch (error) {
            if (!['57P03', 'ECONNREFUSED', 'ENOENT'].includes((error as { code: string }).code)) throw error
          }
        }
        await client.connect()
        await client.query('create table numbers (n int, t text)')
        await client.query("insert into numbers select n, repeat('x', n) from generate_series(1, 1000) n")
        const { rows } = await client.query(
          'select count(*)::int c, sum(length(t))::int s from numbers where n <= $1',
          [1000],
        )
        expect(rows).toEqual([{ c: 1000, s: 500_500 }])
        const large = await client.query("select repeat('ž', 1000000) t")
        expect(large.rows[0].t.length).toBe(1_000_000)
        await expect(client.query('select nonsense')).rejects.toMatchObject({ code: '42703' })
        await client.end()

        const door = await open(net.forward('db.main', { port: 0 }))
        const pool = new pg.Pool({ ...who, host: '127.0.0.1', port: portOf(door as nodeNet.Server), max: 4 })
        const answers = await Promise.all(
          Array.from({ length: 40 }, (_, n) => pool.query('select $1::int * 2 v', [n])),
        )
        expect(answers.map(({ rows }) => rows[0].v)).toEqual(Array.from({ length: 40 }, (_, n) => n * 2))
        await pool.end()
      },
      90_000,
    )

    ;(hasRedis ? test : test.skip)(
      told('Redis: pipelines, a large value and a subscription through a forward', hasRedis),
      async () => {
        database = await startRedis()
        await open(remote.expose('cache', { path: database.path }))
        const door = await open(net.forward('cache', { port: 0 }))
        const port = portOf(door as nodeNet.Server)
        const redis = new Redis(port, '127.0.0.1')
        const pipeline = redis.pipeline()
        for (let n = 0; n < 1000; n++) pipeline.incr('count')
        const counted = await pipeline.exec()
        expect(counted!.at(-1)).toEqual([null, 1000])
        const large = Buffer.alloc(3_000_000, 'v')
        await redis.set('large', large)
        expect((await redis.getBuffer('large'))!.equals(large)).toBe(true)
        const listener = new Redis(port, '127.0.0.1')
        await listener.subscribe('news')
        const heard = once(listener, 'message')
        await redis.publish('news', 'hello')
        expect(await heard).toEqual(['news', 'hello'])
        await Promise.all([redis.quit(), listener.quit()])
      },
      60_000,
    )
  })
