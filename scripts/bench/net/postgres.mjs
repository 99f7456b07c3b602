// A PostgreSQL of the machine's own, for its benchmark `pgbench`; absent where it is not installed.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { now, sleep } from '../clock.mjs'
import { freePort } from '../contenders/free-port.mjs'

const root = '/usr/lib/postgresql'
const patience = 20_000 // ms to take connections

/** The folder of its programs, if it is there with `pgbench`. */
export function postgresFolder() {
  const versions = existsSync(root) ? readdirSync(root) : []
  const folders = versions.map(version => join(root, version, 'bin'))
  return folders.find(folder => ['initdb', 'pgbench'].every(name => existsSync(join(folder, name))))
}

/** Starts one with the tables of `pgbench`. */
export async function startPostgres(bin) {
  // It refuses to run as root.
  const id = flag => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  const user = process.getuid?.() === 0 ? { uid: id('-u'), gid: id('-g') } : {}
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-bench-pg-'))
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  const options = { ...user, cwd: folder, stdio: 'ignore' }
  await run(join(bin, 'initdb'), ['-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync'], options)
  const port = await freePort()
  const settings = ['-p', port, '-k', folder, '-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off']
  const child = spawn(join(bin, 'postgres'), ['-D', data, ...settings], options)
  const place = { host: '127.0.0.1', port }
  const fill = ['-i', '-q', '-h', place.host, '-p', port, '-U', 'postgres', 'postgres']
  for (const stop = now() + patience; ; await sleep(100)) {
    try {
      await run(join(bin, 'pgbench'), fill, options)
      break
    } catch (error) {
      if (now() > stop) throw error
    }
  }
  return {
    place,
    async end() {
      child.kill('SIGINT')
      await once(child, 'exit')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function run(program, args, options) {
  const [code] = await once(spawn(program, args.map(String), options), 'exit')
  if (code !== 0) throw Error(`${program} ended with ${code}`)
}
