// Real databases: PostgreSQL and Redis, each at a Unix socket of its own. CI installs them (.ci/run).
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './events'

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

export interface Database {
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

export async function startPostgres(bin: string): Promise<Database> {
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

export async function startRedis(): Promise<Database> {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-redis-'))
  const path = join(folder, 'redis.sock')
  const args = ['--port', '0', '--unixsocket', path, '--save', '', '--appendonly', 'no']
  const child = spawn('redis-server', args, { cwd: folder, stdio: 'ignore' })
  await until(() => existsSync(path) || child.exitCode !== null)
  return { path, stop: stopper(child, folder, 'SIGTERM') }
}

export const postgres = postgresFolder()
export const hasRedis = existsSync('/usr/bin/redis-server')
export const told = (name: string, isThere: boolean): string =>
  isThere ? name : `${name} (its server is not installed)`
