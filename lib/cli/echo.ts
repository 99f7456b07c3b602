// A subject on which a command answers itself.
import { type Client, type Message, randomId } from '../index'
import { codeOf } from './failure'

type Subscription = Awaited<ReturnType<Client['subscribe']>>

export class Echo {
  readonly subject: string
  readonly #subscription: Subscription
  readonly #answering: Promise<void>

  private constructor(subject: string, subscription: Subscription) {
    this.subject = subject
    this.#subscription = subscription
    this.#answering = answerAll(subscription)
  }

  /** Below an inbox of its own, which every user of a users file may read; where that is refused, on a subject. */
  static async open(client: Client): Promise<Echo> {
    const id = randomId()
    try {
      return new Echo(`_INBOX.${id}.echo`, await client.subscribe(`_INBOX.${id}.*`))
    } catch (error) {
      if (codeOf(error) !== 403) throw error
      return new Echo(`doctor.${id}`, await client.subscribe(`doctor.${id}`))
    }
  }

  async close(): Promise<void> {
    this.#subscription.close()
    await this.#answering
  }
}

async function answerAll(requests: AsyncIterable<Message>): Promise<void> {
  for await (const request of requests) await request.respond(request.data, { noThrow: true })
}
