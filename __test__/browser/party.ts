// Clients of pages, in Node.js: what a bundler takes, with the WebSocket of `ws`.
import { type Client, type ConnectOptions, connect } from 'selvedge/browser'
import { WebSocket } from 'ws'

const open: Client[] = []

/** A client of a page. Quick to come back after a cut. */
export function pageClient(address: string, options: ConnectOptions = {}): Client {
  const quick = { reconnectionDelay: 5, reconnectionDelayMax: 50 }
  const client = connect({ address, WebSocket: WebSocket as never, ...quick, ...options })
  open.push(client)
  return client
}

export async function closePages(): Promise<void> {
  await Promise.all(open.splice(0).map(client => client.close()))
}

/** Resolves with the first argument of the next event. */
export function next<T = any>(
  emitter: { once(name: any, listener: (value: any) => void): unknown },
  name: string,
): Promise<T> {
  return new Promise(resolve => void emitter.once(name, resolve))
}

/** Resolves when a list has so many items. */
export function filled(
  list: { push(...items: unknown[]): number; length: number },
  count: number,
): Promise<void> {
  return new Promise(resolve => {
    const push = list.push.bind(list)
    list.push = (...items) => {
      const length = push(...items)
      if (length >= count) resolve()
      return length
    }
    if (list.length >= count) resolve()
  })
}
