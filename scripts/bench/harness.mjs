// The processes of one measurement, and what they cost.
import { now } from './clock.mjs'
import { Process } from './process.mjs'
import { cpuOf, machineCpu, memoryOf } from './usage.mjs'

/**
 * Runs `workload(harness)` between start and end of the processes. `execArgv`: more options for their Node.js; `during(measure, pids)`
 * may do something of its own around what is measured.
 */
export async function withHarness(
  contender,
  workload,
  { execArgv = [], during = measure => measure() } = {},
) {
  const harness = new Harness(contender, execArgv, during)
  try {
    await harness.start()
    return await workload(harness)
  } finally {
    await harness.end()
  }
}

class Harness {
  #contender
  #execArgv
  #during
  #address
  /** Where the sender connects, if that is another node than the receiver's. */
  #far
  #processes = []
  /** Process ids by role, some of them several. */
  #pids = {}

  constructor(contender, execArgv, during) {
    this.#contender = contender
    this.#execArgv = execArgv
    this.#during = during
  }

  async start() {
    const { broker, together } = this.#contender
    let first
    if (broker) {
      first = this.process(together ? 'all' : 'broker')
      const { address, far = address, pids } = await first.do('broker', this.#contender)
      this.#address = address
      this.#far = far
      if (pids) Object.assign(this.#pids, Array.isArray(pids) ? { broker: pids } : pids)
    }
    this.receiver = together ? first : this.process('receiver')
    this.sender = together ? first : this.process('sender')
  }

  /** One more process, whose cost counts under the name of `role`; without a role it does not count. */
  process(role) {
    const made = new Process(this.#contender.module, this.#execArgv)
    this.#processes.push(made)
    if (role) this.#pids[role] = made.pid
    return made
  }

  get together() {
    return this.#contender.together === true
  }

  /** What every task of a contender needs. */
  get options() {
    return { ...this.#contender, address: this.#address }
  }

  /** The same for the sender's tasks. */
  get farOptions() {
    return { ...this.#contender, address: this.#far }
  }

  /** A server, and a session that can open sockets to it. */
  async sockets({ window }) {
    const { address } = await this.receiver.do('serve', { ...this.options, window })
    await this.sender.do('session', { ...this.options, address: this.#far ?? address, window })
  }

  /** Measures `workload`, which resolves with `{count, …}`: adds CPU µs a message by role, and the cores that others kept busy. */
  costs(workload) {
    return this.#during(() => this.#measured(workload), this.#pids)
  }

  async #measured(workload) {
    const before = this.#used()
    const result = await workload()
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
    return Object.fromEntries(Object.entries(this.#pids).map(([role, pids]) => [role, total(pids, memoryOf)]))
  }

  async end() {
    await Promise.all(this.#processes.map(process => process.end()))
  }

  #used() {
    const cpu = Object.fromEntries(
      Object.entries(this.#pids).map(([role, pids]) => [role, total(pids, cpuOf)]),
    )
    return { at: now(), machine: machineCpu(), own: cpuOf(process.pid), cpu }
  }
}

const total = (pids, of) => sum([pids].flat().map(of))

const sum = numbers => numbers.reduce((a, b) => a + b, 0)
