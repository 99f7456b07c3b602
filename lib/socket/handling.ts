// `handle`: functions whose results are the answers to requests.
import { errorHeaders } from '../messaging/error-headers'
import type { Message } from '../messaging/message'
import { isFunction } from '../values/option-checks'

/** Returns or resolves with the answer; what it throws is an error answer. */
export type Answer = (question: unknown, message: Message) => unknown

/** What requests come to. */
interface Asked {
  on(name: 'request', listener: (message: Message) => unknown): unknown
  off(name: 'request', listener: (message: Message) => unknown): unknown
}

/** Has a function answer the requests that come to a socket. */
export function handleRequests(socket: Asked, answer: Answer): void {
  isFunction('the handler', answer)
  socket.on('request', message => answerWith(answer, message))
}

/** The functions that answer the requests to all sockets of a server. */
export class Handlers {
  readonly #listeners: ((message: Message) => unknown)[] = []

  add(answer: Answer, sockets: Iterable<Asked>): void {
    isFunction('the handler', answer)
    const listener = (message: Message): unknown => answerWith(answer, message)
    this.#listeners.push(listener)
    for (const socket of sockets) socket.on('request', listener)
  }

  attach(socket: Asked): void {
    for (const listener of this.#listeners) socket.on('request', listener)
  }

  /** Takes them back, from a socket that is to be decided about: what it asks meanwhile waits. */
  detach(socket: Asked): void {
    for (const listener of this.#listeners) socket.off('request', listener)
  }
}

async function answerWith(answer: Answer, message: Message): Promise<void> {
  try {
    const result = await answer(message.data, message)
    // It may have answered by itself; or another one has, which counts.
    const hasAnswered = message.isAnswered && (result === undefined || !message.awaitsAnswer)
    if (!hasAnswered) await message.respond(result as never)
    message.end()
  } catch (error) {
    // The stream of a socket answers with what is thrown; a socket of Conat reads it from the headers.
    if (message.isInStream || !message.awaitsAnswer) throw error
    await message.respond(null, { headers: errorHeaders(error) }).catch(() => {})
  }
}
