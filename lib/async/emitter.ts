// Node's EventEmitter, typed as index.d.ts promises it: with the events of each class alone. A listener for an event that is never
// emitted, whose name is one letter off or another package's, warns the process, once for each name.
import { EventEmitter } from 'node:events'
import type { Emitter as Typed } from '../../index'
import { didYouMean } from '../values/nearest'

/** What a class emits. */
export interface Heard {
  readonly what: string
  readonly events: readonly string[]
  /** Other packages' names for them. */
  readonly others: Readonly<Record<string, string>>
}

/** The key of a class's `Heard`. */
export const HEARD: unique symbol = Symbol('heard')

type Listener = (...args: unknown[]) => void

const warned = new Set<string>()

/** Shorter names are near to every other one. */
const MIN_LETTERS = 4
/** Of so many letters, two may be wrong. */
const LONG = 7

class WarningEmitter extends EventEmitter {
  override on(name: string | symbol, listener: Listener): this {
    warnIfUnheard(this, name)
    return super.on(name, listener)
  }

  override addListener(name: string | symbol, listener: Listener): this {
    return this.on(name, listener)
  }

  override prependListener(name: string | symbol, listener: Listener): this {
    warnIfUnheard(this, name)
    return super.prependListener(name, listener)
  }
}

function warnIfUnheard(emitter: EventEmitter, name: string | symbol): void {
  const heard = (emitter.constructor as { [HEARD]?: Heard })[HEARD]
  if (heard === undefined || typeof name !== 'string' || heard.events.includes(name)) return
  const meant = meantBy(name, heard)
  const key = `${heard.what} ${name}`
  if (meant === '' || warned.has(key)) return
  warned.add(key)
  process.emitWarning(`${heard.what} never emits '${name}'${meant}`, { code: 'SELVEDGE_UNKNOWN_EVENT' })
}

function meantBy(name: string, { events, others }: Heard): string {
  if (Object.hasOwn(others, name)) return `; did you mean '${others[name]}'?`
  // An emitter's own, and one of Node's that is listened for in general.
  if (name.length < MIN_LETTERS || name === 'newListener' || name === 'removeListener') return ''
  return didYouMean(name, events, name.length < LONG ? 1 : 2)
}

export type Emitter<Events> = Typed<Events>

export const Emitter = WarningEmitter as unknown as new <Events>(options?: {
  captureRejections?: boolean
}) => Typed<Events>

const STATES = ['disconnected', 'connecting', 'ready', 'closed']
const ENDS = { connect: 'ready', open: 'ready', reconnect: 'ready', connect_error: 'closed' }
const GONE = { disconnect: 'disconnected', close: 'closed', end: 'closed' }

export const SOCKET_HEARD: Heard = {
  what: 'a socket',
  events: [...STATES, 'data', 'request', 'drain', 'renewed'],
  others: { ...ENDS, ...GONE, message: 'data' },
}

export const LISTENER_HEARD: Heard = {
  what: 'a listener',
  events: [...STATES, 'connection', 'peerLost'],
  others: { connect: 'connection', listening: 'ready', close: 'closed' },
}

export const CLIENT_HEARD: Heard = {
  what: 'a client',
  events: [
    'connected',
    'disconnected',
    'signInRefused',
    'info',
    'inbox',
    'permission',
    'connectFailed',
    'closed',
  ],
  others: {
    connect: 'connected',
    open: 'connected',
    ready: 'inbox',
    reconnect: 'connected',
    connect_error: 'connectFailed',
    reconnect_error: 'connectFailed',
    ...GONE,
    end: 'closed',
  },
}

const MEMBERS = ['join', 'update', 'leave', 'sync']

export const ROOM_HEARD: Heard = { what: 'a room', events: [...MEMBERS, 'stale'], others: { left: 'leave' } }

export const VIEW_HEARD: Heard = { what: 'a view of a room', events: MEMBERS, others: { left: 'leave' } }

export const BROKER_HEARD: Heard = {
  what: 'a broker',
  events: ['ready', 'upstream', 'closed', 'callbackFailed'],
  others: { listening: 'ready', close: 'closed' },
}
