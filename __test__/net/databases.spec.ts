// Real databases over subjects: PostgreSQL and Redis, by their own clients. Without their servers these tests are skipped, and
// say so; CI installs them (.ci/run).
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import type nodeNet from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Redis from 'ioredis'
import { over, type Server, sockets } from 'selvedge/net'
import { describeFabric } from '../support/fabrics'

const pg = require('pg') as { Client: any; Pool: any }
const closed = (emitter: NodeJS.EventEmitter): Promise<unknown> =>
  new Promise(resolve => emitter.once('close', resolve))
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 5))
}
const portOf = (server: nodeNet.Server): number => (server.address() as nodeNet.AddressInfo).port

/** The folder of PostgreSQL's programs, if it is there. */
function postgresFolder(): string | undefined {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root) : []
  return versions
    .map(version => join(root, version, 'bin'))
    .find(folder => existsSync(join(folder, 'initdb')))
}

/** PostgreSQL refuses to run as root. */
function userOf(name: string): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string): number => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

interface Database {
  /** Its Unix socket. */
  readonly path: string
  stop(): Promise<void>
}

function stopper(child: ChildProcess, folder: string, signal: NodeJS.Signals): () => Promise<void> {
  return async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal)
      await once(child, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  }
}

async function startPostgres(bin: string): Promise<Database> {
  const user = userOf('postgres')
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-pg-'))
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid!)
  const data = join(folder, 'data')
  const options = { ...user, cwd: folder, stdio: 'ignore' } as const
  const [ended] = await once(
    spawn(
      join(bin, 'initdb'),
      ['-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync', '-E', 'UTF8'],
      options,
    ),
    'exit',
  )
  if (ended !== 0) throw Error(`initdb ended with ${ended}`)
  const settings = ['-k', folder, '-c', 'listen_addresses=', '-c', 'fsync=off', '-c', 'max_connections=20']
  const child = spawn(join(bin, 'postgres'), ['-D', data, ...settings], options)
  const path = join(folder, '.s.PGSQL.5432')
  await until(() => existsSync(path) || child.exitCode !== null)
  return { path, stop: stopper(child, folder, 'SIGINT') }
}

async function startRedis(): Promise<Database> {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-redis-'))
  const path = join(folder, 'redis.sock')
  const args = ['--port', '0', '--unixsocket', path, '--save', '', '--appendonly', 'no']
  const child = spawn('redis-server', args, { cwd: folder, stdio: 'ignore' })
  await until(() => existsSync(path) || child.exitCode !== null)
  return { path, stop: stopper(child, folder, 'SIGTERM') }
}

const postgres = postgresFolder()
const hasRedis = existsSync('/usr/bin/redis-server')
const told = (name: string, isThere: boolean): string =>
  isThere ? name : `${name} (its server is not installed)`

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
