// The three processes: starts them, listens to them, kills and restarts the broker, cleans up.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export class Stage {
  #children = new Set()
  #broker
  #port
  kills = 0
  /** Rejects when a process ends that should not. */
  broken = new Promise((_, reject) => {
    this.fail = reject
  })

  constructor() {
    this.broken.catch(() => {})
  }

  async startBroker() {
    // The port may take a moment to be free again.
    for (let left = 20; ; left--) {
      const child = this.#fork('broker', [String(this.#port ?? 0)], { mayEnd: true })
      const port = await Promise.race([
        answer(child, 'port'),
        once(child, 'exit').then(() => undefined),
        this.broken,
      ])
      if (port !== undefined) {
        this.#port = port
        this.#broker = child
        child.once('exit', () => this.#broker === child && this.fail(Error('the broker ended by itself')))
        return `http://127.0.0.1:${port}`
      }
      if (left === 0) throw Error('the broker did not start')
      await sleep(250)
    }
  }

  async killBroker({ downFor }) {
    const dead = this.#broker
    this.#broker = undefined
    dead.kill('SIGKILL')
    await once(dead, 'exit')
    await sleep(downFor)
    await this.startBroker()
    this.kills++
  }

  start(name, args, { mayEnd = false } = {}) {
    return this.#fork(name, args, { mayEnd })
  }

  /** What a process sends under that name, once. */
  next(child, name) {
    return Promise.race([answer(child, name), this.broken])
  }

  stop() {
    for (const child of this.#children) {
      child.removeAllListeners('exit')
      child.kill('SIGKILL')
    }
  }

  #fork(name, args, { mayEnd }) {
    const child = fork(fileURLToPath(new URL(`./${name}.mjs`, import.meta.url)), args)
    this.#children.add(child)
    child.on('exit', (code, signal) => {
      this.#children.delete(child)
      if (!mayEnd || (name === 'client' && code !== 0)) {
        this.fail(Error(`the ${name} process ended (${signal ?? `exit status ${code}`})`))
      }
    })
    return child
  }
}

function answer(child, name) {
  return new Promise(resolve => {
    child.on('message', function take(message) {
      if (!(name in message)) return
      child.off('message', take)
      resolve(message[name])
    })
  })
}
