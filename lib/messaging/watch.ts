// The default callback of `client.watch`.
import { escaped } from '../values/escaped'
import type { Message } from './message'

/** Prints time, subject and data; of a payload that cannot be decoded, its length. */
export function print(message: Message): void {
  console.log(new Date().toISOString(), escaped(message.subject), dataOf(message))
}

function dataOf(message: Message): unknown {
  try {
    const { data } = message
    // Strings within values are escaped by `console.log`.
    return typeof data === 'string' ? escaped(data) : data
  } catch {
    return `(${message.length} bytes that cannot be decoded)`
  }
}
