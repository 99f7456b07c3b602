// Services: methods behind a subject. A call is a request with data `[name, args]`; its reply has the result,
// or in its headers the error that was thrown.

import type { RequestOptions } from '../../index'
import { startTimer } from '../async/timer'
import { CHANNELS } from '../telemetry/channels'
import { FabricError, invalidType, namedAfter, shown } from '../values/errors'
import { checkOptions } from '../values/option-checks'
import { type AnswerIterator, mapAnswers } from './answers'
import { errorHeaders, readCode, THROWN } from './error-headers'
import type { Message } from './message'
import { REQUEST_SHAPE, WAIT_FOR_CALLER } from './options'
import type { Subscription } from './subscription'
import { isHandlingWatched } from './watching'

/** Services on one subject share the calls by default. */
export const SERVICE_QUEUE = '0'
/** Milliseconds between looks whether there is room for an error, and until its caller has given up. */
const [WAIT_FOR_ROOM, MAX_WAIT_FOR_ROOM] = [100, 30_000]
const NOT_DEFINED = 'ERR_NOT_DEFINED'

export function checkImplementation(implementation: unknown): asserts implementation is object {
  if (typeof implementation === 'object' && implementation !== null) return
  throw invalidType('the service', 'an object with methods', implementation)
}

/** Answers the calls that arrive, concurrently: one that hangs does not delay others. */
export function serve(
  subscription: Subscription,
  handle: (message: Message) => unknown,
  methodOf?: (message: Message) => string,
): void {
  subscription.isServing = true
  subscription.emitter.on('message', (message: Message) => {
    if (!message.isRequest()) return
    const end = begin(subscription, message)
    const answered = isHandlingWatched()
      ? subscription.watch(message, () => answer(message, handle), methodOf?.(message))
      : answer(message, handle)
    void answered.then(end)
  })
}

/** Counts a call until what this returns is called, or its caller is away for so long that no drain waits for it. */
function begin({ serving }: Subscription, message: Message): () => void {
  serving.begin()
  let timer: ReturnType<typeof startTimer> | undefined
  let isOver = false
  const end = (): void => {
    timer?.stop()
    if (isOver) return
    isOver = true
    serving.end()
  }
  message.onAnswer(() => {
    timer = startTimer(WAIT_FOR_CALLER, end)
  })
  return end
}

/** Handles one call. Never rejects: errors are sent to the caller, unless it is gone; resolves with that, if there was one. */
async function answer(message: Message, handle: (message: Message) => unknown): Promise<unknown> {
  let result: unknown
  try {
    result = await handle(message)
  } catch (error) {
    await refuse(message, error)
    return error ?? Error('a method threw nothing')
  }
  try {
    await message.respond(result)
  } catch (error) {
    // The fabric's codes are numbers: the answer was sent, and the caller is gone. Otherwise nothing was.
    if (typeof (error as FabricError).code !== 'number') await refuse(message, error)
    return error
  }
  return undefined
}

/** Calls the method that a message asks for, with the message as `this`. */
export async function invoke(message: Message, implementation: object): Promise<unknown> {
  const [name, args] = readCall(message)
  return await methodIn(implementation, name).apply(message, args)
}

/** Returns the method of data that is a call. */
export function methodOf(data: unknown): string {
  const [name] = data as [string]
  return name
}

/** Returns the method that a message asks for, for spans: `_OTHER`, as OpenTelemetry has it, if there is none. */
export function calledMethod(message: Message, implementation: object): string {
  try {
    const [name] = readCall(message)
    methodIn(implementation, name)
    return name
  } catch {
    return '_OTHER'
  }
}

/** Replies with an error, as soon as there is room for it. Never rejects: the caller may be gone. */
async function refuse(message: Message, error: unknown): Promise<void> {
  if (CHANNELS.handlerError.hasSubscribers) CHANNELS.handlerError.publish({ error, message })
  const headers = errorHeaders(error)
  for (let waited = 0; waited <= MAX_WAIT_FOR_ROOM; waited += WAIT_FOR_ROOM) {
    try {
      await message.respond(null, { headers })
      return
    } catch (refusal) {
      if ((refusal as FabricError).code !== 'ENOBUFS') return
    }
    await new Promise<void>(resolve => startTimer(WAIT_FOR_ROOM, resolve))
  }
}

function readCall(message: Message): [name: string, args: unknown[]] {
  const data: unknown = message.data
  const isNamed = typeof data === 'object' && data !== null && 'name' in data
  const call: unknown = isNamed ? [data.name, (data as { args?: unknown }).args] : data
  if (!Array.isArray(call) || typeof call[0] !== 'string' || !Array.isArray(call[1] ?? [])) {
    throw new FabricError('a call must be [name, args]', 'ERR_INVALID_ARG_VALUE')
  }
  return [call[0], (call[1] ?? []) as unknown[]]
}

/** Returns a method of the service. What every object inherits is none, unless the service defines it. */
function methodIn(implementation: object, name: string): (...args: unknown[]) => unknown {
  const isReachable = Object.hasOwn(implementation, name) || !(name in Object.prototype)
  const method: unknown = isReachable ? (implementation as Record<string, unknown>)[name] : undefined
  if (typeof method === 'function') return method as (...args: unknown[]) => unknown
  throw new FabricError(`${shown(name)} not defined`, NOT_DEFINED)
}

/** Returns the error that a reply carries, if any. */
export function thrown(answer: Message): FabricError | undefined {
  const { error, code } = answer.headers ?? {}
  if (typeof error !== 'string' || error === '') return undefined
  return new FabricError(error, readCode(code) ?? THROWN)
}

/** Members that JavaScript itself looks up on any object, so that methods of these names cannot be called. */
const LOCAL: ReadonlySet<string> = new Set(['then', 'toJSON'])

/** Returns an object whose every member is a method. */
function proxy<T>(invoke: (name: string, args: unknown[]) => unknown): T {
  return new Proxy(Object.create(null) as object, {
    get: (_target, name) => {
      if (typeof name === 'symbol' || LOCAL.has(name) || name in Object.prototype) {
        return name === 'toString' ? () => '[object Service]' : undefined
      }
      return (...args: unknown[]) => invoke(name, args)
    },
  }) as T
}

/** Sends one call. `own` are options of this call alone. */
type Ask = (data: unknown, own?: RequestOptions) => Promise<Message | undefined>

/** How each proxy asks, for `withOptions`, and what errors call it. */
const asking = new WeakMap<object, { what: string; ask: Ask }>()

/** `what` is the call that made it, as errors say it. */
export function callProxy<T>(what: string, ask: Ask): T {
  const methods = proxy<object>(async (name, args) => {
    let answer: Message | undefined
    try {
      answer = await ask([name, args])
    } catch (error) {
      throw namedAfter(`${what} ${name}()`, error)
    }
    if (answer === undefined) return undefined
    const failure = thrown(answer)
    if (failure !== undefined) throw failure
    return answer.data
  })
  asking.set(methods, { what, ask })
  return methods as T
}

/** Notes that a proxy asks as another does: it has been wrapped. */
export function asksAs(wrapped: object, methods: object): void {
  const asks = asking.get(methods)
  if (asks !== undefined) asking.set(wrapped, asks)
}

/** Returns options with those of one call before them. `undefined` counts as absent. */
export function joined(options: RequestOptions | undefined, own: RequestOptions | undefined): RequestOptions {
  const given = Object.entries(own ?? {}).filter(([, value]) => value !== undefined)
  return { ...options, ...Object.fromEntries(given) }
}

/** Returns the same service; its calls have these options, which come before those that it was made with. */
export function withOptions<R extends object>(remote: R, options: RequestOptions): R {
  const asks = typeof remote === 'object' && remote !== null ? asking.get(remote) : undefined
  if (asks === undefined) throw invalidType('the service', 'an object of call()', remote)
  checkOptions('withOptions', options, REQUEST_SHAPE)
  return callProxy<R>(asks.what, (data, own) => asks.ask(data, joined(options, own)))
}

export function callManyProxy<T>(what: string, ask: (data: unknown) => Promise<AnswerIterator>): T {
  return proxy<T>((name, args) =>
    mapAnswers(
      ask([name, args]),
      answer => thrown(answer) ?? answer.data,
      error => namedAfter(`${what} ${name}()`, error),
    ),
  )
}
