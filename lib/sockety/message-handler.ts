// Handlers: what is done with messages, one step after another.
import { invalidType } from '../values/errors'
import type { Message } from './received'

export type Use = (message: Message, error: unknown) => unknown
export type Act = (message: Message) => unknown

type Step =
  | { readonly kind: 'use' | 'error'; readonly run: Use }
  | { readonly kind: 'action'; readonly name: string; readonly run: Act }

type Handler = (message: Message) => Promise<void>

/**
 * Of a message whose steps were all done at once. It is never rejected: whoever only wants to know of that, as an
 * emitter does, has nothing to wait for, which would cost more than all the steps.
 */
const DONE: Promise<void> = Object.assign(Promise.resolve(), {
  // biome-ignore lint/suspicious/noThenProperty: as said
  then: (done?: unknown, failed?: unknown): Promise<never> =>
    (done == null
      ? DONE
      : Promise.prototype.then.call(DONE, done as never, failed as never)) as Promise<never>,
})

/** A function with the methods of its class. */
class CallableHandler {
  constructor(call: Handler) {
    // biome-ignore lint/correctness/noConstructorReturn: what makes it callable
    return Object.setPrototypeOf(call, new.target.prototype)
  }
}
Object.setPrototypeOf(CallableHandler.prototype, Function.prototype)

export class MessageHandler extends CallableHandler {
  readonly #steps: Step[] = []
  #handler: Handler | undefined

  constructor() {
    super(message => this.optimize()(message))
  }

  /** Runs `run` for every message, with the last error of an earlier step, or null. */
  use(run: Use): this {
    return this.#add({ kind: 'use', run })
  }

  /** Runs `run` for messages with this action, unless an earlier step has failed. */
  action(name: string, run: Act): this {
    if (typeof name !== 'string') throw invalidType('action', 'a string', name)
    return this.#add({ kind: 'action', name, run })
  }

  /** Runs `run` when an earlier step has failed. */
  error(run: Use): this {
    return this.#add({ kind: 'error', run })
  }

  /** Returns the compiled function, the same one until a step is added. */
  optimize(): Handler {
    this.#handler ??= compile(this.#steps)
    return this.#handler
  }

  #add(step: Step): this {
    if (typeof step.run !== 'function') throw invalidType('handler', 'a function', step.run)
    this.#steps.push(step)
    this.#handler = undefined
    return this
  }
}

function compile(steps: readonly Step[]): Handler {
  const names = new Set(steps.map(step => (step.kind === 'action' ? step.name : undefined)))
  const stepsOf = (action: string | undefined): readonly Step[] =>
    steps.filter(step => step.kind !== 'action' || step.name === action)
  const byAction = new Map([...names].map(name => [name, stepsOf(name)]))
  const others = stepsOf(undefined)
  return message => run(message, byAction.get(message.action) ?? others, 0, false, null)
}

/**
 * Runs the steps from `index` on; only what returns a promise is waited for. `error` is the last one, if an earlier
 * step has failed.
 */
function run(
  message: Message,
  steps: readonly Step[],
  index: number,
  hadFailed: boolean,
  lastError: unknown,
): Promise<void> {
  let hasFailed = hadFailed
  let error = lastError
  for (let at = index; at < steps.length; at++) {
    const step = steps[at] as Step
    if (step.kind === 'use' || hasFailed !== (step.kind === 'action')) {
      try {
        const result = step.kind === 'action' ? step.run(message) : step.run(message, error)
        if (isThenable(result)) return wait(result, message, steps, at + 1, hasFailed, error)
        if (typeof result === 'number') answer(message, result)
      } catch (thrown) {
        hasFailed = true
        error = thrown
      }
    }
  }
  message.discard()
  return DONE
}

async function wait(
  result: PromiseLike<unknown>,
  message: Message,
  steps: readonly Step[],
  next: number,
  hadFailed: boolean,
  lastError: unknown,
): Promise<void> {
  try {
    const value = await result
    if (typeof value === 'number') answer(message, value)
  } catch (error) {
    return run(message, steps, next, true, error)
  }
  return run(message, steps, next, hadFailed, lastError)
}

function answer(message: Message, code: number): void {
  if (!message.expectsResponse || message.responded) return
  message.context.answer(message.id, code)
  message.responded = true
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  )
}
