// Authentication and permissions: calls the application's callbacks, with a timeout, and answers the engine.
import type { ServerOptions, SystemAccounts, Visitor, VisitorCertificate } from '../../index'

import * as commands from '../engine/commands'
import type { EventReader } from '../engine/event-reader'
import { AUTHENTICATE_REQUEST, AUTHORIZE_REQUEST, CONNECTION_GONE } from '../engine/kinds'
import { FabricError } from '../values/errors'
import { depthOf } from '../values/json-depth'
import { Buffer, clearTimer, nextTurn, setTimer } from '../values/platform'
import { throwAsync } from '../values/throw-async'
import { systemUser } from './system-accounts'

type Callbacks = Required<Pick<ServerOptions, 'getUser' | 'isAllowed'>>

/** The callbacks, and how long they may take. */
interface AuthorizerOptions extends Pick<ServerOptions, 'getUser' | 'isAllowed' | 'systemAccountPassword'> {
  /** Milliseconds. */
  signInTimeout: number
  permissionTimeout: number
}

/** The numbers of *permission decided* in docs/internals/boundary.md. */
const [DENIED, ALLOWED, UNDECIDED] = [0, 1, 2]
const MAX_ERROR_TEXT = 1000
const MAX_CODE = 0xffff
/** What the name of a protocol begins with that is a token, in base64url (lib/browser/link.ts). */
const PAGE_TOKEN = 'selvedge.token.'
const NO_CODE = 0xffffffff

/** Clients are told who they are, and take neither more nor deeper control frames. */
const MAX_USER_BYTES = 256 * 1024
const MAX_USER_DEPTH = 62

function checkUser(text: string): void {
  const bytes = Buffer.byteLength(text)
  if (bytes > MAX_USER_BYTES) {
    throw RangeError(`getUser must give JSON of at most ${MAX_USER_BYTES} bytes, got ${bytes}`)
  }
  if (depthOf(text) > MAX_USER_DEPTH) {
    throw RangeError(`getUser must give JSON of at most ${MAX_USER_DEPTH} levels`)
  }
}

/** The callbacks of one broker. Whatever they do, the engine gets exactly one answer. */
export class Authorizer {
  readonly #broker: number
  readonly #getUser: Callbacks['getUser']
  readonly #isAllowed: Callbacks['isAllowed'] | undefined
  readonly #accounts: SystemAccounts | undefined
  readonly #options: AuthorizerOptions
  readonly #failed: (error: unknown, callback: 'getUser' | 'isAllowed') => void
  readonly #observe: (callback: 'getUser' | 'isAllowed', seconds: number) => void
  /** The results of `getUser` by connection: `isAllowed` gets the same object. */
  readonly #users = new Map<number, unknown>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #isStopped = false

  constructor(
    broker: number,
    options: AuthorizerOptions,
    failed: (error: unknown, callback: 'getUser' | 'isAllowed') => void,
    observe: (callback: 'getUser' | 'isAllowed', seconds: number) => void,
  ) {
    this.#broker = broker
    this.#options = options
    this.#getUser = options.getUser ?? standardUser
    this.#isAllowed = options.isAllowed
    this.#failed = failed
    this.#observe = observe
    const password = options.systemAccountPassword
    if (password !== undefined) this.#accounts = { sys: { password, user: { hub_id: 'system' } } }
  }

  /** The number of connections whose user it remembers. */
  get size(): number {
    return this.#users.size
  }

  handleEvent(kind: number, event: EventReader): void {
    if (kind === CONNECTION_GONE) {
      this.#users.delete(event.f64())
      return
    }
    const question: commands.Question = [event.u32(), event.u32()]
    const connection = event.f64()
    if (kind === AUTHENTICATE_REQUEST) this.#askUser(question, connection, event.str())
    else if (kind === AUTHORIZE_REQUEST) this.#askPermission(question, connection, event)
  }

  /** Stops: no answer is needed any more. */
  stop(): void {
    this.#isStopped = true
    for (const timer of this.#timers) clearTimer(timer)
    this.#timers.clear()
    this.#users.clear()
  }

  #askUser(question: commands.Question, connection: number, text: string): void {
    // `null` stands for the user until there is an answer; removed when the connection is gone.
    this.#users.set(connection, null)
    const visitor = visitorOf(text)
    // A copy, so that a callback cannot change the password for the others.
    const accounts = this.#accounts === undefined ? undefined : structuredClone(this.#accounts)
    this.#settle(
      'getUser',
      () => this.#getUser(visitor, accounts),
      this.#options.signInTimeout,
      user => this.#admit(question, connection, user),
      error => this.#refuse(question, error),
    )
  }

  #admit(question: commands.Question, connection: number, user: unknown): void {
    let text: string
    try {
      // A forgotten `return` must not sign anybody in.
      const found = JSON.stringify(user)
      if (found === undefined) throw TypeError(`getUser must give JSON, got ${typeof user}`)
      checkUser(found)
      text = found
    } catch (error) {
      this.#refuse(question, error)
      return
    }
    if (this.#users.has(connection)) this.#users.set(connection, user)
    commands.userFound(this.#broker, question, text)
  }

  #refuse(question: commands.Question, error: unknown): void {
    this.#report(error, 'getUser')
    const code = codeOf(error)
    commands.userRefused(this.#broker, question, textOf(error), code)
  }

  #askPermission(question: commands.Question, connection: number, event: EventReader): void {
    const type = event.u8() === 0 ? 'pub' : 'sub'
    const subject = event.str()
    const user = this.#users.get(connection) ?? null
    this.#settle(
      'isAllowed',
      () => this.#isAllowed?.({ type, user, subject }),
      this.#options.permissionTimeout,
      allowed => {
        if (typeof allowed === 'boolean') {
          commands.permissionDecided(this.#broker, question, allowed ? ALLOWED : DENIED)
        } else {
          this.#undecided(question, TypeError(`isAllowed must give a boolean, got ${typeof allowed}`))
        }
      },
      error => this.#undecided(question, error),
    )
  }

  #undecided(question: commands.Question, error: unknown): void {
    commands.permissionDecided(this.#broker, question, UNDECIDED)
    this.#report(error, 'isAllowed')
  }

  #report(error: unknown, callback: 'getUser' | 'isAllowed'): void {
    try {
      this.#failed(error, callback)
    } catch (thrown) {
      throwAsync(thrown)
    }
  }

  /** Calls a callback, and passes on one outcome: its result, that of its promise, or a timeout. */
  #settle(
    callback: 'getUser' | 'isAllowed',
    call: () => unknown,
    timeout: number,
    onSuccess: (value: unknown) => void,
    onFailure: (error: unknown) => void,
  ): void {
    const begun = performance.now()
    const timed =
      <T>(settle: (value: T) => void) =>
      (value: T): void => {
        this.#observe(callback, (performance.now() - begun) / 1000)
        settle(value)
      }
    const [succeed, fail] = [timed(onSuccess), timed(onFailure)]
    let result: unknown
    try {
      result = call()
    } catch (error) {
      if (!this.#isStopped) fail(error)
      return
    }
    if (this.#isStopped) return
    if (!isObject(result) || !isThenable(result)) {
      succeed(result)
      return
    }
    let isOpen = true
    const once = (settle: () => void): void => {
      if (!isOpen || this.#isStopped) return
      isOpen = false
      clearTimer(timer)
      this.#timers.delete(timer)
      settle()
    }
    const late = () => once(() => fail(new FabricError(`timeout: no answer within ${timeout} ms`, 408)))
    // An answer that has come while the thread was busy is still to be read: it counts.
    const timer = setTimer(() => nextTurn(late), timeout).unref()
    this.#timers.add(timer)
    Promise.resolve(result).then(
      value => once(() => succeed(value)),
      error => once(() => fail(error)),
    )
  }
}

/** The default `getUser`: `null`, or the system user for those who have its password. */
function standardUser(visitor: Visitor, accounts: SystemAccounts | undefined): unknown {
  return systemUser(visitor, accounts) ?? null
}

function visitorOf(text: string): Visitor {
  const { id, address, headers, certificate } = JSON.parse(text) as {
    id: string
    address: string
    headers: [string, string][]
    certificate: VisitorCertificate | null
  }
  const joined = new Map<string, string>()
  for (const [name, value] of headers) {
    const known = joined.get(name)
    joined.set(name, known === undefined ? value : `${known}${name === 'cookie' ? ';' : ','} ${value}`)
  }
  const token = takeToken(joined)
  // `fromEntries` defines own properties, even for a header `__proto__`.
  return { id, handshake: { headers: Object.fromEntries(joined), token, address, certificate } }
}

/** A page's token is the name of a WebSocket protocol: it is taken out of the headers, which are logged more freely. */
function takeToken(headers: Map<string, string>): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.get('authorization') ?? '')?.[1]
  const offered = headers.get('sec-websocket-protocol')?.split(/, */) ?? []
  const own = offered.find(name => name.startsWith(PAGE_TOKEN))
  if (own === undefined) return bearer
  headers.set('sec-websocket-protocol', offered.filter(name => name !== own).join(', '))
  return bearer ?? Buffer.from(own.slice(PAGE_TOKEN.length), 'base64url').toString()
}

function isObject(value: unknown): value is object {
  return value !== null && (typeof value === 'object' || typeof value === 'function')
}

function isThenable(value: object): boolean {
  try {
    return typeof (value as { then?: unknown }).then === 'function'
  } catch {
    // Its promise rejects with what the getter threw.
    return true
  }
}

/** Returns what a client is told of an error. */
export function textOf(error: unknown): string {
  try {
    const text = error instanceof Error ? error.message : String(error)
    return text.slice(0, MAX_ERROR_TEXT) || 'sign-in refused'
  } catch {
    return 'sign-in refused'
  }
}

function codeOf(error: unknown): number {
  try {
    const code = isObject(error) ? (error as { code?: unknown }).code : undefined
    return Number.isInteger(code) && (code as number) >= 0 && (code as number) <= MAX_CODE
      ? (code as number)
      : NO_CODE
  } catch {
    return NO_CODE
  }
}
