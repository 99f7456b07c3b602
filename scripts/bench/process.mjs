// One worker process, and how it is told what to do.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const limit = 60_000 // ms for any one task
const grace = 2000 // ms to end by itself

export class Process {
  #child
  #ids = 0
  #pending = new Map()

  /** `worker`: what it runs, relative to this file; `module` is told to it. */
  constructor(module, execArgv = [], worker = './worker.mjs') {
    this.#child = fork(fileURLToPath(new URL(worker, import.meta.url)), [module], {
      execArgv: ['--expose-gc', ...execArgv],
    })
    this.pid = this.#child.pid
    this.#child.on('message', ({ id, result, error }) => {
      const { resolve, reject } = this.#pending.get(id)
      this.#pending.delete(id)
      if (error) reject(Error(error))
      else resolve(result)
    })
    this.#child.on('exit', code => {
      for (const { reject } of this.#pending.values()) reject(Error(`a process ended (exit status ${code})`))
    })
  }

  async do(task, options = {}) {
    const id = ++this.#ids
    let timer
    try {
      return await new Promise((resolve, reject) => {
        this.#pending.set(id, { resolve, reject })
        timer = setTimeout(() => reject(Error(`'${task}' took longer than ${limit / 1000} s`)), limit)
        this.#child.send({ id, task, options })
      })
    } finally {
      clearTimeout(timer)
    }
  }

  /** Resolves when it has ended; a crash at the end is a failure too. */
  async end() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.disconnect()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), grace)
    const [code, signal] = await ended
    clearTimeout(timer)
    if (code !== 0 && signal !== 'SIGKILL')
      throw Error(`a process ended badly (${signal ?? `exit status ${code}`})`)
  }
}
