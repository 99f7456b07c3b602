// What arrives at a subscription.
import { setTimeout } from 'node:timers/promises'
import type { Message, Subscription } from 'selvedge'

/** The next `count` messages. */
export async function read(subscription: Subscription, count: number): Promise<Message[]> {
  const messages: Message[] = []
  while (messages.length < count) {
    const { value, done } = await subscription.next()
    if (done) throw new Error(`ended after ${messages.length} of ${count}`)
    messages.push(value)
  }
  return messages
}

/** The data of the next `count` messages. */
export async function readData(subscription: Subscription, count: number): Promise<unknown[]> {
  return (await read(subscription, count)).map(message => message.data)
}

/** Answers again and again for longer than so many ms, and last with `last`. */
export async function answerForLonger(request: Message, ms: number): Promise<void> {
  for (const end = Date.now() + 1.5 * ms; Date.now() < end; await setTimeout(ms / 6))
    request.respondSync('more')
  request.respondSync('last')
}

/** How a promise was rejected; a promise that was not fails the test. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { code?: number | string }> {
  const value = await promise.then(
    value => ({ value }),
    error => ({ error }),
  )
  if ('error' in value) return value.error
  throw new Error(`resolved with ${JSON.stringify(value.value)}`)
}
