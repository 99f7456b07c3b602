// The processes of one measurement, and what they cost.
import { now } from './clock.mjs'
import { Process } from './process.mjs'
import { cpuOf, machineCpu, memoryOf } from './usage.mjs'

/**
 * Runs `work(stage)` between start and end of the processes. `execArgv`: more options for their Node.js; `during(measure, pids)`
 * may do something of its own around what is measured.
 */
export async function withStage(way, work, { execArgv = [], during = measure => measure() } = {}) {
  const stage = new Stage(way, execArgv, during)
  try {
    await stage.start()
    return await work(stage)
  } finally {
    await stage.end()
  }
}

class Stage {
  #way
  #execArgv
  #during
  #address
  #processes = []
  /** Process ids by role. */
  #pids = {}

  constructor(way, execArgv, during) {
    this.#way = way
    this.#execArgv = execArgv
    this.#during = during
  }

  async start() {
    const { broker, together } = this.#way
    let first
    if (broker) {
      first = this.process(together ? 'all' : 'broker')
      const { address, pid } = await first.do('broker', this.#way)
      this.#address = address
      if (pid) this.#pids.broker = pid
    }
    this.receiver = together ? first : this.process('receiver')
    this.sender = together ? first : this.process('sender')
  }

  /** One more process, whose cost counts under the name of `role`; without a role it does not count. */
  process(role) {
    const made = new Process(this.#way.module, this.#execArgv)
    this.#processes.push(made)
    if (role) this.#pids[role] = made.pid
    return made
  }

  get together() {
    return this.#way.together === true
  }

  /** What every task of a way needs. */
  get options() {
    return { ...this.#way, address: this.#address }
  }

  /** A server, and a session that can open sockets to it. */
  async sockets({ window }) {
    const { address } = await this.receiver.do('serve', { ...this.options, window })
    await this.sender.do('session', { ...this.options, address, window })
  }

  /** Measures `work`, which resolves with `{count, …}`: adds CPU µs a message by role, and the cores that others kept busy. */
  costs(work) {
    return this.#during(() => this.#measured(work), this.#pids)
  }

  async #measured(work) {
    const before = this.#used()
    const result = await work()
    const after = this.#used()
    const cpu = Object.fromEntries(
      Object.keys(this.#pids).map(role => [
        role,
        ((after.cpu[role] - before.cpu[role]) * 1000) / result.count,
      ]),
    )
    const ours =
      after.own - before.own + sum(Object.keys(cpu).map(role => after.cpu[role] - before.cpu[role]))
    const foreign = Math.max(0, (after.machine - before.machine - ours) / (after.at - before.at))
    return { ...result, cpu: { total: sum(Object.values(cpu)), ...cpu }, foreign }
  }

  /** Resident bytes by role. */
  memory() {
    return Object.fromEntries(Object.entries(this.#pids).map(([role, pid]) => [role, memoryOf(pid)]))
  }

  async end() {
    await Promise.all(this.#processes.map(process => process.end()))
  }

  #used() {
    const cpu = Object.fromEntries(Object.entries(this.#pids).map(([role, pid]) => [role, cpuOf(pid)]))
    return { at: now(), machine: machineCpu(), own: cpuOf(process.pid), cpu }
  }
}

const sum = numbers => numbers.reduce((a, b) => a + b, 0)
