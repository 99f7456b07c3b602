// Services: methods behind a subject. A call is a request with the data `[name, args]`; its answer is the result, or
// says in its headers what was thrown.

import type { InFlight } from '../async/in-flight'
import { FabricError, invalidType, shown } from '../values/errors'
import { type AnswerIterator, mapAnswers } from './answers'
import type { Message } from './message'
import type { Subscription } from './subscription'

/** All services of a client share the calls unless they say otherwise. */
export const SERVICE_QUEUE = '0'
/** A thrown text travels in the headers, which have a bound. */
const MAX_ERROR_TEXT = 10_000
const NOT_DEFINED = 'ERR_NOT_DEFINED'
const THROWN = 'ERR_SERVICE'

export function checkImplementation(implementation: unknown): asserts implementation is object {
  if (typeof implementation === 'object' && implementation !== null) return
  throw invalidType('the service', 'an object with methods', implementation)
}

/** Answers the calls that arrive. Each is on its own: one that hangs holds up no other. */
export function serve(subscription: Subscription, implementation: object, serving: InFlight): void {
  subscription.emitter.on('message', (message: Message) => {
    if (!message.isRequest()) return
    serving.begin()
    void answer(message, implementation).then(serving.end)
  })
}

/** Never rejects: what goes wrong is the caller's to hear, and who is gone hears nothing. */
async function answer(message: Message, implementation: object): Promise<void> {
  let result: unknown
  try {
    const [name, args] = readCall(message)
    result = await methodOf(implementation, name).apply(message, args)
  } catch (error) {
    await refuse(message, error)
    return
  }
  try {
    await message.respond(result)
  } catch (error) {
    // Nothing was sent then. In every other case nobody waits any more.
    if ((error as FabricError).code === 'ERR_ENCODE') await refuse(message, error)
  }
}

async function refuse(message: Message, error: unknown): Promise<void> {
  const { text, code } = read(error)
  const headers = code === undefined ? { error: text } : { error: text, code }
  await message.respond(null, { headers }).catch(() => {})
}

function readCall(message: Message): [name: string, args: unknown[]] {
  const call: unknown = message.data
  if (!Array.isArray(call) || typeof call[0] !== 'string' || !Array.isArray(call[1] ?? [])) {
    throw new FabricError('a call must be [name, args]', 'ERR_INVALID_ARG_VALUE')
  }
  return [call[0], (call[1] ?? []) as unknown[]]
}

/** What every object has is no method of a service, unless it has it itself. */
function methodOf(implementation: object, name: string): (...args: unknown[]) => unknown {
  const isReachable = Object.hasOwn(implementation, name) || !(name in Object.prototype)
  const method: unknown = isReachable ? (implementation as Record<string, unknown>)[name] : undefined
  if (typeof method === 'function') return method as (...args: unknown[]) => unknown
  throw new FabricError(`${shown(name)} not defined`, NOT_DEFINED)
}

/** Anything can be thrown, also what throws when it is looked at. */
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

/** What the service of this answer has thrown, if it has. */
function thrown(answer: Message): FabricError | undefined {
  const { error, code } = answer.headers ?? {}
  if (typeof error !== 'string' || error === '') return undefined
  return new FabricError(error, typeof code === 'number' || typeof code === 'string' ? code : THROWN)
}

/** Members that JavaScript itself asks any object for. A service cannot have methods of these names for its callers. */
const LOCAL: ReadonlySet<string> = new Set(['then', 'toJSON'])

/** An object whose every member is a method. */
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
