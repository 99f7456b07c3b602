// The option `routeSubject`: some subjects of a client belong to another client, or to one of another address.
import type { EventEmitter } from 'node:events'
import type { ConnectOptions, SubjectRoute } from '../../index'
import { FabricError, invalidType } from '../values/errors'

/** What a client has for a subject, its first argument. */
const METHODS = [
  'publish',
  'pub',
  'publishSync',
  'request',
  'requestMany',
  'subscribe',
  'sub',
  'subscribeSync',
  'service',
  'call',
  'callMany',
  'watch',
  'interest',
  'waitForInterest',
] as const
const SOCKET_METHODS = ['listen', 'connect'] as const

type Method = (subject: string, ...args: unknown[]) => unknown
type Routed = Record<(typeof METHODS)[number], unknown> & {
  readonly socket: Record<(typeof SOCKET_METHODS)[number], unknown>
  close(): Promise<void>
}

/** How often a call has been passed on. No program has so many clients in a row. */
let passings = 0
const MAX_PASSINGS = 100
const CIRCLE = 'routeSubject passes a subject on in a circle'

function clientIn<C extends Routed>(given: unknown): C {
  const { publish, socket } = given as Partial<Routed>
  if (typeof publish === 'function' && socket) return given as C
  throw invalidType('the client of a route', 'a Client', given)
}

/**
 * Replaces the methods of this one client by such as look first where their subject belongs. `open` makes a client of
 * another address; these close with this one.
 */
// biome-ignore lint/suspicious/noExplicitAny: whatever events it has
export function routeSubjects<C extends Routed & EventEmitter<any>>(
  client: C,
  routeSubject: NonNullable<ConnectOptions['routeSubject']>,
  open: (address: string) => C,
): void {
  const opened = new Map<string, C>()
  const placeOf = (subject: string): C => {
    const route = routeSubject(subject) as SubjectRoute | undefined | null
    if (route === undefined || route === null) return client
    if (typeof route === 'object' && 'client' in route && route.client) return clientIn(route.client)
    const address = String(typeof route === 'object' && 'address' in route ? (route.address ?? '') : route)
    if (address === '') throw invalidType('what routeSubject returns', 'an address or a client', route)
    const known = opened.get(address)
    if (known !== undefined) return known
    const other = open(address)
    opened.set(address, other)
    return other
  }
  const reroute = (names: readonly string[], of: (client: C) => object): void => {
    const own = of(client) as Record<string, Method>
    const before = Object.fromEntries(names.map(name => [name, own[name] as Method]))
    for (const name of names) {
      const value: Method = (subject, ...args) => {
        const place = placeOf(subject)
        if (place === client) return (before[name] as Method).call(own, subject, ...args)
        if (passings === MAX_PASSINGS) throw new FabricError(CIRCLE, 'ERR_INVALID_ARG_VALUE')
        passings += 1
        try {
          const there = of(place) as Record<string, Method>
          return (there[name] as Method).call(there, subject, ...args)
        } finally {
          passings -= 1
        }
      }
      Object.defineProperty(own, name, { value, configurable: true, writable: true })
    }
  }
  reroute(METHODS, client => client)
  reroute(SOCKET_METHODS, client => client.socket)
  client.once('closed', () => {
    for (const other of opened.values()) void other.close()
  })
}
