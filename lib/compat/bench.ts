// `client.bench`: how fast this client publishes and asks, over whatever connects it.
import type { Published, PublishOptions } from '../../index'
import type { Message } from '../messaging/message'
import type { Subscription } from '../messaging/subscription'

interface Benched {
  subscribe(subject: string): Promise<Subscription>
  publish(subject: string, data?: unknown, options?: PublishOptions): Promise<Published>
  request(subject: string, data?: unknown): Promise<unknown>
}

export class ClientBench {
  readonly #client: Benched

  constructor(client: Benched) {
    this.#client = client
  }

  /** Publishes so many confirmed messages; resolves with how many a second. */
  publish(count = 1000, subject = 'bench'): Promise<number> {
    return rate(count, () => this.#client.publish(subject, 'x'))
  }

  /** Asks itself so many times, one after the other; resolves with how many answers a second. */
  async request(count = 1000, subject = 'bench'): Promise<number> {
    const served = await this.#client.subscribe(subject)
    served.emitter.on(
      'message',
      (message: Message) => void (message.isRequest() && message.respondSync(null)),
    )
    try {
      return await rate(count, () => this.#client.request(subject))
    } finally {
      served.close()
    }
  }
}

async function rate(count: number, act: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  for (let n = 0; n < count; n++) await act()
  return Math.round((count * 1000) / Math.max(performance.now() - begun, 0.001))
}
