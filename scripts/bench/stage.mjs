// The processes of one measurement, and what they cost.
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const limit = 30_000 // ms for any one task

/** `way`: `{module, together?, broker?, wire?}`. Runs `work({send, receive, cpu})` between start and end of the processes. */
export async function withStage(way, window, work) {
  const processes = []
  const start = () => {
    const made = new Process(way.module)
    processes.push(made)
    return made
  }
  try {
    const options = { window, wire: way.wire }
    if (way.broker) options.address = (await start().do('broker')).address
    const receiver = start()
    const { address } = await receiver.do('serve', options)
    const sender = way.together ? receiver : start()
    await sender.do('session', { ...options, address })
    return await work({ sender, receiver, cpu: () => sum(processes.map(cpuOf)) })
  } finally {
    for (const made of processes) made.end()
  }
}

class Process {
  #child
  #ids = 0
  #pending = new Map()

  constructor(module) {
    this.#child = fork(fileURLToPath(new URL('./worker.mjs', import.meta.url)), [module])
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

  end() {
    this.#child.kill('SIGKILL')
  }
}

/** User and system milliseconds of a process so far, or NaN where there is no /proc. */
function cpuOf({ pid }) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // In ticks of 10 ms, on every Linux that Node.js runs on.
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return Number.NaN
  }
}

const sum = numbers => numbers.reduce((a, b) => a + b, 0)
