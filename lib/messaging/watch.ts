// What `client.watch` does with a message unless told otherwise.
import type { Message } from './message'

/** Prints time, subject and data. A payload that cannot be decoded is told by its length: a look must not end the process. */
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
