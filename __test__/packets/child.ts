// A program of programs/ in a process of its own, which does what it is asked, and can be killed and frozen.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { freeze } from '../support/freeze'

interface Answer {
  id: number
  value?: any
  error?: string
}

export class Child {
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  readonly exited: Promise<unknown>
  #id = 0

  private constructor(program: string) {
    this.#process = fork(join(__dirname, 'programs', program), {
      env: { ...process.env, CONAT_SERVER: '' },
      serialization: 'advanced',
    })
    this.#process.on('message', (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer)
      this.#waiting.delete(answer.id)
    })
    this.exited = once(this.#process, 'exit').then(() => {
      for (const [id, settle] of this.#waiting) settle({ id, error: 'the process is gone' })
    })
  }

  static async start(program: string): Promise<Child> {
    const child = new Child(program)
    await new Promise(resolve => child.#waiting.set(0, resolve))
    return child
  }

  ask(command: string, options: object = {}): Promise<any> {
    const id = ++this.#id
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ value, error }) =>
        error === undefined ? resolve(value) : reject(Error(error)),
      )
      this.#process.send({ id, command, ...options })
    })
  }

  /** It ends by itself, and with the code 0. */
  async stop(): Promise<void> {
    void this.ask('stop').catch(() => undefined)
    await this.exited
    expect(this.#process.exitCode).toBe(0)
  }

  get pid(): number {
    return this.#process.pid!
  }

  freeze(): Promise<void> {
    return freeze(this.pid)
  }

  signal(name: 'SIGKILL' | 'SIGCONT'): void {
    this.#process.kill(name)
  }
}
