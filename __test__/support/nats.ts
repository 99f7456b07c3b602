// A real nats-server. Tests that need one are skipped where there is none; CI has one.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'

/** The path of the program, from the environment variable NATS_SERVER or the PATH. */
const NATS_SERVER = [
  process.env.NATS_SERVER,
  ...(process.env.PATH?.split(delimiter) ?? []).map(folder => join(folder, 'nats-server')),
].find(path => path && isExecutable(path))

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Whether the server is of this minor version of 2, or a newer one. Debian's is 2.9, the oldest that will do. */
export function isNatsAtLeast(minor: number): boolean {
  if (NATS_SERVER === undefined) return true
  const version = execFileSync(NATS_SERVER, ['--version'], { encoding: 'utf8' })
  return Number(/v2\.(\d+)/.exec(version)?.[1]) >= minor
}

/** `describe`, or a skipped one that says why. */
export function describeNats(name: string, define: () => void): void {
  if (NATS_SERVER === undefined) describe.skip(`${name} (there is no nats-server)`, define)
  else describe(name, define)
}

/** A server with a port of its own, which it keeps when it is started again. */
export class NatsServer {
  port = -1
  #child: ChildProcess | undefined
  readonly #folder = mkdtempSync(join(tmpdir(), 'selvedge-nats-'))

  /** `config` is in the form of its configuration files. */
  constructor(private config = '') {}

  get address(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  /** Resolves when it takes clients. */
  async start(config = this.config): Promise<void> {
    this.config = config
    const file = join(this.#folder, 'nats.conf')
    writeFileSync(file, `${config}\n`)
    const args = ['-a', '127.0.0.1', '-p', String(this.port), '-c', file]
    const child = spawn(NATS_SERVER!, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = child
    const said: string[] = []
    for await (const line of createInterface(child.stderr)) {
      said.push(line)
      const port = /Listening for client connections on .*:(\d+)/.exec(line)?.[1]
      if (port !== undefined) this.port = Number(port)
      if (line.includes('Server is ready')) {
        // What it says from now on is read and dropped, or it would wait for a reader.
        child.stderr.resume()
        return
      }
    }
    throw Error(`nats-server did not start:\n${said.join('\n')}`)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Kills it. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  async close(): Promise<void> {
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
