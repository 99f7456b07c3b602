// Loads the addon, and declares its functions (docs/internals/boundary.md). No other file of lib/ does.

import { loadFailure } from './load-failure'
import { type Sleeper, wakeOf } from './wake'

/** What a native call returns when it fails. */
interface EngineFailure {
  code: number | string
  message: string
}

/** The addon's functions, documented in docs/internals/boundary.md. */
interface Addon {
  open(wake: () => void, watches: boolean): number
  hold(session: number, on: boolean): void
  submit(session: number, batch: Uint8Array): number
  drain(session: number): Buffer[] | null
  clientOpen(session: number, handle: number, options: string): EngineFailure | null
  clientQueued(session: number, handle: number): number
  brokerOpen(session: number, handle: number, options: string): EngineFailure | null
  brokerCheck(options: string): EngineFailure | null
  brokerDrain(session: number, handle: number, spread: number): void
  brokerClose(session: number, handle: number): void
  brokerSecure(session: number, handle: number, options: string): EngineFailure | null
  trust(certificates: string): void
  socketyConnect(session: number, handle: number, options: string): EngineFailure | null
  socketyListen(session: number, handle: number, options: string): EngineFailure | null
  socketyCloseServer(session: number, handle: number): void
  socketyUnsent(session: number, handle: number): number
  socketyAttach(session: number, bytes: Uint8Array): number
  socketyKeep(session: number, bytes: Uint8Array): number
  socketyRelease(session: number, number: number): void
  pipeOpen(
    session: number,
    handle: number,
    broker: number,
    address: string | null,
    certificate: Uint8Array | null,
    isToLoopback: boolean,
    head: Uint8Array,
  ): EngineFailure | null
  pipeBring(session: number, handle: number, bytes: Uint8Array): void
  pipeWrote(session: number, handle: number, count: number): void
  pipeEnd(session: number, handle: number, orderly: boolean): void
  brokerQuery(session: number, handle: number, query: string): string | null
  brokerAnswer(session: number, handle: number, request: number, response: Uint8Array): void
  randomId(): string
  resetOnClose(descriptor: number, resets: boolean): boolean
}

function load(): Addon {
  let addon: Partial<Addon>
  try {
    addon = require('../../native.js') as Partial<Addon>
  } catch (cause) {
    throw loadFailure(cause)
  }
  // Whatever the file of an override is: it may be text that loads as a program.
  if (typeof addon.open !== 'function')
    throw loadFailure(new Error('it has none of the functions of this one'))
  return addon as Addon
}

const addon: Addon = load()
let turn: () => void = () => {}
const turnOnce = (): void => turn()
const sleeper: Sleeper = { awake: undefined, idle: new WeakRef(turnOnce) }
/**
 * The engine's session of this copy of `lib`; other copies in the process (in a bundle, or a test runner)
 * have their own.
 */
// Where the event loop cannot watch connections: Bun exports libuv's functions only to fail in them; Deno frees an
// asynchronous cleanup hook when it has run, and once more when it is given back, as Node.js wants it to be.
const isNodes = !('bun' in process.versions) && !('deno' in process.versions)
const session = addon.open(wakeOf(sleeper), isNodes)

/** The addon, for this session. */
export const native = {
  /** Sets the function that is called when events wait. */
  open(turnTo: () => void): void {
    turn = turnTo
  },
  /** Notes whether something is open, for which this copy of `lib` must stay. */
  setOpen(isOpen: boolean): void {
    sleeper.awake = isOpen ? turnOnce : undefined
  },
  hold: (on: boolean): void => addon.hold(session, on),
  submit: (batch: Uint8Array): number => addon.submit(session, batch),
  drain: (): Buffer[] | null => addon.drain(session),
  clientOpen: (handle: number, options: string): EngineFailure | null =>
    addon.clientOpen(session, handle, options),
  brokerOpen: (handle: number, options: string): EngineFailure | null =>
    addon.brokerOpen(session, handle, options),
  brokerCheck: (options: string): EngineFailure | null => addon.brokerCheck(options),
  brokerDrain: (handle: number, spread: number): void => addon.brokerDrain(session, handle, spread),
  brokerClose: (handle: number): void => addon.brokerClose(session, handle),
  brokerSecure: (handle: number, options: string): EngineFailure | null =>
    addon.brokerSecure(session, handle, options),
  trust: addon.trust,
  socketyConnect: (handle: number, options: string): EngineFailure | null =>
    addon.socketyConnect(session, handle, options),
  socketyListen: (handle: number, options: string): EngineFailure | null =>
    addon.socketyListen(session, handle, options),
  socketyCloseServer: (handle: number): void => addon.socketyCloseServer(session, handle),
  clientQueued: (handle: number): number => addon.clientQueued(session, handle),
  socketyUnsent: (handle: number): number => addon.socketyUnsent(session, handle),
  socketyAttach: (bytes: Uint8Array): number => addon.socketyAttach(session, bytes),
  socketyKeep: (bytes: Uint8Array): number => addon.socketyKeep(session, bytes),
  socketyRelease: (number: number): void => addon.socketyRelease(session, number),
  pipeOpen: (
    handle: number,
    broker: number,
    address: string | null,
    certificate: Uint8Array | null,
    isToLoopback: boolean,
    head: Uint8Array,
  ): EngineFailure | null =>
    addon.pipeOpen(session, handle, broker, address, certificate, isToLoopback, head),
  pipeBring: (handle: number, bytes: Uint8Array): void => addon.pipeBring(session, handle, bytes),
  pipeWrote: (handle: number, count: number): void => addon.pipeWrote(session, handle, count),
  pipeEnd: (handle: number, orderly: boolean): void => addon.pipeEnd(session, handle, orderly),
  brokerQuery: (handle: number, query: string): string | null => addon.brokerQuery(session, handle, query),
  brokerAnswer: (handle: number, request: number, response: Uint8Array): void =>
    addon.brokerAnswer(session, handle, request, response),
  randomId: addon.randomId,
  resetOnClose: addon.resetOnClose,
}

/** Returns an id that nobody can guess, one token of a subject. */
export const randomId: () => string = native.randomId
