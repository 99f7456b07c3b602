// The attacked: a broker, an honest neighbour and a victim, each a process; and what is noted about them row by row.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { STALL_MS } from '../support/stall'

interface Health {
  broken: string[]
  rss: number
  polluted: string[]
}

export class Resident {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (answer: { value?: unknown; error?: string }) => void>()
  #id = 0
  stderr = ''
  value: unknown

  private constructor(role: string, address: string, log: string) {
    this.#child = fork(join(__dirname, 'programs', 'resident.cjs'), [role, address], {
      env: { ...process.env, CONAT_SERVER: '', SELVEDGE_LOG: log },
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    })
    this.#child.stderr!.on('data', chunk => {
      this.stderr += chunk
    })
    this.#child.on('message', ({ question, ...answer }: { question: number }) => {
      this.#waiting.get(question)?.(answer)
      this.#waiting.delete(question)
    })
    this.#child.once('exit', () => {
      for (const settle of this.#waiting.values()) settle({ error: `the process is gone: ${this.stderr}` })
    })
  }

  static async start(role: string, address = '', log = ''): Promise<Resident> {
    const resident = new Resident(role, address, log)
    const { value, error } = await new Promise<{ value?: unknown; error?: string }>(resolve =>
      resident.#waiting.set(0, resolve),
    )
    if (error !== undefined) throw Error(error)
    resident.value = value
    return resident
  }

  get pid(): number {
    return this.#child.pid!
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  ask<T = any>(command: string, options: object = {}): Promise<T> {
    const question = ++this.#id
    return new Promise((resolve, reject) => {
      this.#waiting.set(question, ({ value, error }) => {
        if (error === undefined) resolve(value as T)
        else reject(Error(error))
      })
      this.#child.send({ question, command, ...options })
    })
  }

  async end(): Promise<void> {
    if (!this.isAlive) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}

export class Arena {
  readonly #rows: { row: string; worst: number; answered: number; rss: number }[] = []

  private constructor(
    readonly broker: Resident,
    readonly neighbour: Resident,
    readonly victim: Resident,
    private readonly rssAtStart: number,
  ) {}

  /** With a broker of these options; over TLS, if they have `ssl`, whatever its certificate is. */
  static async open(options: object = {}): Promise<Arena> {
    const broker = await Resident.start('broker', JSON.stringify(options), 'info')
    const at = `127.0.0.1:${broker.value}`
    const secure = JSON.stringify({ address: `https://${at}`, rejectUnauthorized: false })
    const address = 'ssl' in options ? secure : `http://${at}`
    const residents = await Promise.all(['neighbour', 'victim'].map(role => Resident.start(role, address)))
    await residents[0]!.ask('beside', { broker: broker.pid })
    const { rss } = await broker.ask<Health>('report')
    return new Arena(broker, residents[0]!, residents[1]!, rss)
  }

  get port(): number {
    return this.broker.value as number
  }

  /** After each row: everybody is alive and undisturbed (in MB, ms), and what it cost is noted. */
  async look(row: string, maxGrowth = 100, maxWait = STALL_MS): Promise<void> {
    const { worst, answered, disturbed } = await this.neighbour.ask('latency')
    const health = await this.health()
    this.#rows.push({ row, worst, answered, rss: (health[0]!.rss - this.rssAtStart) / 2 ** 20 })
    expect({ disturbed, broken: health.flatMap(one => one.broken) }).toEqual({ disturbed: [], broken: [] })
    expect(health.flatMap(one => one.polluted)).toEqual([])
    expect(worst).toBeLessThan(maxWait)
    expect(this.growth).toBeLessThan(maxGrowth)
  }

  private health(): Promise<Health[]> {
    return Promise.all([this.broker, this.neighbour, this.victim].map(one => one.ask<Health>('report')))
  }

  /** Of the broker, at its worst, in MiB. */
  get growth(): number {
    return Math.max(0, ...this.#rows.map(({ rss }) => rss))
  }

  get worst(): number {
    return Math.max(0, ...this.#rows.map(({ worst }) => worst))
  }

  table(): string {
    const lines = this.#rows.map(
      ({ row, worst, rss }) => `${String(worst).padStart(5)} ms ${rss.toFixed(1).padStart(7)} MiB  ${row}`,
    )
    return ['neighbour   broker RSS', ...lines].join('\n')
  }

  async close(): Promise<void> {
    await Promise.all([this.neighbour, this.victim, this.broker].map(one => one.end()))
  }
}
