// Processes of a test of faults (programs/party.cjs), which can be killed and frozen.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { freeze } from '../support/freeze'

/** How one end of a socket is. */
export interface End {
  id: string
  /** Accepted for writing, and handed to the handler: both are counts and, when nothing is wrong, the last number. */
  written: number
  got: number
  wrong: { expected: number; came: number }[]
  closed: string[]
  undelivered?: number
  unsent: number
  state: string
  events: string[]
}

export interface Report {
  ends: End[]
  /** Exceptions that nobody caught. */
  broken: string[]
}

const running = new Set<Party>()

export class Party {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (answer: { value?: unknown; error?: string }) => void>()
  readonly exited: Promise<unknown>
  #id = 0
  #stderr = ''

  private constructor() {
    this.#child = fork(join(__dirname, 'programs', 'party.cjs'), {
      env: { ...process.env, CONAT_SERVER: '', SELVEDGE_LOG: process.env.FAULTS_LOG ?? '' },
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    })
    this.#child.stderr!.on('data', chunk => {
      this.#stderr += chunk
    })
    this.#child.on('message', ({ id, ...answer }: { id: number }) => {
      this.#waiting.get(id)?.(answer)
      this.#waiting.delete(id)
    })
    this.exited = once(this.#child, 'exit').then(() => {
      running.delete(this)
      for (const settle of this.#waiting.values()) settle({ error: `the process is gone: ${this.#stderr}` })
    })
    running.add(this)
  }

  static async start(): Promise<Party> {
    const party = new Party()
    await new Promise(resolve => party.#waiting.set(0, resolve))
    return party
  }

  static async broker(port = 0, options: object = {}): Promise<{ party: Party; port: number }> {
    const party = await Party.start()
    return { party, port: await party.ask('broker', { port, options }) }
  }

  static async client(options: object): Promise<Party> {
    const party = await Party.start()
    await party.ask('client', { options })
    return party
  }

  ask<T = any>(command: string, options: object = {}): Promise<T> {
    const id = ++this.#id
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ value, error }) => {
        if (error === undefined) resolve(value as T)
        else reject(Error(error))
      })
      this.#child.send({ id, command, ...options })
    })
  }

  report(): Promise<Report> {
    return this.ask('report')
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** What it printed as errors, but for the warning that it saw no broker for 5 s: a busy machine is slow. */
  get stderr(): string {
    return this.#stderr.replace(
      /^\(node:\d+\) \[SELVEDGE_OFFLINE\].*\n(?:\(Use `node --trace-warnings .*\n)?/gm,
      '',
    )
  }

  freeze(): Promise<void> {
    return freeze(this.pid)
  }

  thaw(): void {
    this.#child.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited
  }
}

/** Ends all processes of a test; call it after each. */
export async function endAll(): Promise<void> {
  await Promise.all([...running].map(party => party.kill()))
}

/** Asks again and again until the answer is as it should be, or `most` ms are over. */
export async function until<T>(ask: () => Promise<T>, is: (value: T) => boolean, most: number): Promise<T> {
  const start = Date.now()
  for (;;) {
    const value = await ask()
    if (is(value)) return value
    if (Date.now() - start > most) throw Error(`not so after ${most} ms: ${JSON.stringify(value)}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

export const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

export const WIRES = ['conat', 'selvedge'] as const
