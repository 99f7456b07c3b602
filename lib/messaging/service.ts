// Services: methods behind a subject. A call is a request with data `[name, args]`; its reply has the result,
// or in its headers the error that was thrown.
import { FabricError, invalidType, shown } from '../values/errors'
import { type AnswerIterator, mapAnswers } from './answers'
import type { Message } from './message'
import type { Subscription } from './subscription'

/** Services on one subject share the calls by default. */
export const SERVICE_QUEUE = '0'
/** Longest error text, since it is sent in the headers, which have a bound. */
const MAX_ERROR_TEXT = 10_000
const NOT_DEFINED = 'ERR_NOT_DEFINED'
const THROWN = 'ERR_SERVICE'

export function checkImplementation(implementation: unknown): asserts implementation is object {
  if (typeof implementation === 'object' && implementation !== null) return
  throw invalidType('the service', 'an object with methods', implementation)
}

/** Serves the calls that arrive, concurrently: one that hangs does not delay others. */
export function serve(subscription: Subscription, implementation: object): void {
  subscription.emitter.on('message', (message: Message) => {
    if (!message.isRequest()) return
    subscription.serving.begin()
    void answer(message, implementation).then(subscription.serving.end)
  })
}

/** Handles one call. Never rejects: errors are sent to the caller, unless it is gone. */
async function answer(message: Message, implementation: object): Promise<void> {
  let result: unknown
  try {
    result = await invoke(message, implementation)
  } catch (error) {
    await refuse(message, error)
    return
  }
  try {
    await message.respond(result)
  } catch (error) {
    // Nothing was sent then. In every other case the caller is gone.
    if ((error as FabricError).code === 'ERR_ENCODE') await refuse(message, error)
  }
}

/** Calls the method that a message asks for, with the message as `this`. */
export async function invoke(message: Message, implementation: object): Promise<unknown> {
  const [name, args] = readCall(message)
  return await methodOf(implementation, name).apply(message, args)
}

/** Replies with an error. Never rejects: the caller may be gone. */
export async function refuse(message: Message, error: unknown): Promise<void> {
  const { text, code } = read(error)
  const headers = code === undefined ? { error: text } : { error: text, code }
  await message.respond(null, { headers }).catch(() => {})
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
function methodOf(implementation: object, name: string): (...args: unknown[]) => unknown {
  const isReachable = Object.hasOwn(implementation, name) || !(name in Object.prototype)
  const method: unknown = isReachable ? (implementation as Record<string, unknown>)[name] : undefined
  if (typeof method === 'function') return method as (...args: unknown[]) => unknown
  throw new FabricError(`${shown(name)} not defined`, NOT_DEFINED)
}

/** Returns text and code of what was thrown, which can be anything, even an object that throws on access. */
function read(error: unknown): { text: string; code: string | number | undefined } {
  try {
    const { message, code } = (error ?? {}) as { message?: unknown; code?: unknown }
    const text = typeof message === 'string' && message !== '' ? message : String(error)
    const isCode = typeof code === 'string' || typeof code === 'number'
    return { text: text.slice(0, MAX_ERROR_TEXT) || 'error', code: isCode ? code : undefined }
  } catch {
    return { text: 'the service threw something that has no text', code: undefined }
  }
}

/** Returns the error that a reply carries, if any. */
export function thrown(answer: Message): FabricError | undefined {
  const { error, code } = answer.headers ?? {}
  if (typeof error !== 'string' || error === '') return undefined
  return new FabricError(error, typeof code === 'number' || typeof code === 'string' ? code : THROWN)
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

type Ask = (data: unknown) => Promise<Message | undefined>

export function callProxy<T>(ask: Ask): T {
  return proxy<T>(async (name, args) => {
    const answer = await ask([name, args])
    if (answer === undefined) return undefined
    const failure = thrown(answer)
    if (failure !== undefined) throw failure
    return answer.data
  })
}

export function callManyProxy<T>(ask: (data: unknown) => Promise<AnswerIterator>): T {
  return proxy<T>((name, args) => mapAnswers(ask([name, args]), answer => thrown(answer) ?? answer.data))
}
