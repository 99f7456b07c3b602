// Clients that call a service one call after the other, and its members.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client, FabricError } from 'selvedge'

export interface Work {
  twice(n: number): Promise<number>
}

/** How long a call takes, in ms. */
const WORK = 200

/** Serves `work`. */
export async function serveWork(client: Client): Promise<void> {
  await client.service('work', {
    twice: async (n: number) => {
      await sleep(WORK)
      return 2 * n
    },
  })
}

/** Calls, one after the other, until it is told to stop. */
export class Caller {
  readonly failed: FabricError[] = []
  done = 0
  readonly #ended: Promise<void>
  #isStopped = false

  constructor(client: Client) {
    this.#ended = this.#run(client)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#ended
  }

  async #run(client: Client): Promise<void> {
    const work = client.call<Work>('work', { waitForInterest: true })
    while (!this.#isStopped) {
      await work.twice(this.done).then(
        () => {
          this.done += 1
        },
        error => this.failed.push(error),
      )
    }
  }
}

/** Resolves when each has made so many calls more. */
export async function goOn(callers: Caller[], calls: number): Promise<void> {
  const goals = callers.map(({ done }) => done + calls)
  const isThere = () => callers.every(({ done, failed }, n) => done >= goals[n]! || failed.length > 0)
  while (!isThere()) await sleep(20)
}

/** What their calls have failed with. */
export function failuresOf(callers: Caller[]): string[] {
  return callers.flatMap(({ failed }) => failed.map(({ code, message }) => `${code}: ${message}`))
}
