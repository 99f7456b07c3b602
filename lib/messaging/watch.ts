// The default callback of `client.watch`.
import type { Message } from './message'

/** Prints time, subject and data; of a payload that cannot be decoded, its length. */
export function print(message: Message): void {
  console.log(new Date().toISOString(), message.subject, dataOf(message))
}

function dataOf(message: Message): unknown {
  try {
    return message.data
  } catch {
    return `(${message.length} bytes that cannot be decoded)`
  }
}
