// The events that Conat's clients send to their broker, for programs that send them by themselves.
import type { Headers, Published, PublishOptions } from '../../index'
import { FabricError } from '../values/errors'

/** What the events ask for, as a client has it. */
export interface Broker {
  getSubscriptions(): Promise<string[]>
  cluster(): Promise<string[]>
  waitForInterest(subject: string, options: { timeout?: number }): Promise<boolean>
  publish(subject: string, data: unknown, options: PublishOptions): Promise<Published>
}

/** A message in one piece: subject, id, number of the piece, whether it is the last, and what it holds. */
type Chunk = [string, string, number, number, number, Uint8Array, Headers | undefined]

// biome-ignore lint/suspicious/noExplicitAny: each event has its own, which is checked where it is read
type Ask = (client: Broker, argument: any) => unknown

const EVENTS: Readonly<Record<string, Ask>> = {
  subscriptions: client => client.getSubscriptions(),
  cluster: client => client.cluster(),
  stats: () => null,
  'wait-for-interest': (client, { subject, timeout }) => isInterest(client, subject, timeout),
  publish: async (client, [subject, , , , encoding, raw, headers]: Chunk) => {
    const { count } = await client.publish(subject, undefined, { encoding, raw, headers })
    return { count }
  },
  // As a broker answers: typed services of the newer original work by plain requests then.
  'rpc-service': () => ({ status: 'added' }),
  'rpc-service-close': () => ({ status: 'removed' }),
  rpc: noService,
  'fast-rpc': noService,
  'rpc-raw': noService,
}

/** Returns the answer to an event; an error as the object that a broker sends for one. */
export async function askBroker(client: Broker, name: unknown, argument: unknown): Promise<unknown> {
  const ask = typeof name === 'string' && Object.hasOwn(EVENTS, name) ? EVENTS[name] : undefined
  if (ask === undefined) return { error: `unknown event '${String(name)}'` }
  try {
    return await ask(client, argument)
  } catch (error) {
    const { message, code } = error as Partial<FabricError>
    return typeof code === 'number' ? { error: message, code } : { error: String(message) }
  }
}

async function isInterest(client: Broker, subject: string, timeout: number): Promise<boolean> {
  try {
    return await client.waitForInterest(subject, { timeout })
  } catch (error) {
    if (error instanceof FabricError && error.code === 408) return false
    throw error
  }
}

function noService(_client: Broker, call: { subject?: unknown } | undefined): never {
  throw new FabricError(`no services matching '${String(call?.subject ?? '')}'`, 503)
}
