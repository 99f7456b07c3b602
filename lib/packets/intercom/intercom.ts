// Calls among the server nodes of a cluster, over the fabric: every node answers, the caller's own included.

import type { Client, Subscription } from '../../../index'
import type { IntercomOptions as CallOptions, CreateIntercomOptions } from '../../../types/packets'
import type { Agreed } from '../agreed'
import { within } from '../bounds'
import { badOption, checkClient, throwAsync } from '../errors'
import { randomId } from '../link/ids'
import { INSPECT } from '../printing'
import { startTimer, stopTimer, type Timer } from '../timer'
import { Calls } from './calls'
import { AGAIN_TIME, Greetings } from './greetings'
import { failed, Handlers, type IntercomHandler, type Status } from './handlers'
import { setIntercomInside } from './inside'
import { answerMessage, callMessage, hereMessage, isNode, Subjects } from './messages'
import { Nodes } from './nodes'
import { checkCallOptions, checkIntercomOptions, DEFAULT_MAX_CALLS, DEFAULT_TIMEOUT } from './options'
import { type EachAnswer, each, first, values } from './results'

/** Milliseconds between announcements, half of them by chance. */
const HERE_INTERVAL = 10_000
/** Milliseconds for those that are there to say so before a node is ready, and without another one. */
const GREETING_TIME = 500
const QUIET_TIME = 100
/** The same where nobody says how many there are. */
const UNCOUNTED_GREETING_TIME = 1000
const UNCOUNTED_QUIET_TIME = 200

type Delivered = { readonly data: unknown; readonly length: number }

/** A node of the cluster. */
export class IntercomNode {
  readonly node: string
  readonly #client: Client
  readonly #subjects: Subjects
  readonly #timeout: number
  readonly #epoch = randomId()
  readonly #nodes: Nodes
  readonly #calls: Calls
  readonly handlers: Handlers
  readonly #broadcasts = new Set<(message: unknown) => void>()
  readonly #subscriptions: Subscription[] = []
  #hereTimer: Timer | undefined
  #againTimer: Timer | undefined
  readonly #greeting = new Greetings()
  /** Others came since the timer was started. */
  #hasMoreToGreet = false
  #isClosed = false
  /** Called when another node is heard for the first time. */
  #handleNew: () => void = () => undefined

  constructor(client: Client, options: CreateIntercomOptions) {
    const {
      cluster = 'packets',
      node = randomId(),
      timeout = DEFAULT_TIMEOUT,
      maxCalls = DEFAULT_MAX_CALLS,
    } = options
    if (!isNode(node)) throw badOption('node must be one token of a subject', 'ERR_INVALID_ARG_VALUE')
    this.node = node
    this.#client = client
    this.#subjects = new Subjects(cluster)
    this.#timeout = timeout
    this.#nodes = new Nodes(node)
    this.#calls = new Calls(client, this.#subjects, this.#nodes, maxCalls)
    this.handlers = new Handlers(maxCalls)
  }

  /** Subscribes, says that it is there, and hears who else is. */
  async open(): Promise<void> {
    const { calls, here, broadcast } = this.#subjects
    const [hasOthers] = await Promise.all([
      this.#client.interest(here),
      this.#listen(this.#subjects.answersTo(this.node), this.#handleAnswer),
      this.#listen(broadcast, this.#handleBroadcast),
      this.#listen(calls, this.#handleCall),
    ])
    if (this.#isClosed) return
    await this.#listen(here, this.#handleHere)
    if (this.#isClosed) return
    const { count } = await this.#client.publish(here, [this.node, this.#epoch])
    if (this.#isClosed) return
    this.#scheduleHere()
    if (hasOthers && count === 1) await this.#greetings(1, UNCOUNTED_QUIET_TIME, UNCOUNTED_GREETING_TIME)
    else await this.#greetings(count, QUIET_TIME, GREETING_TIME)
  }

  async #listen(subject: string, handle: (data: unknown, size: number) => void): Promise<void> {
    const subscription = await this.#client.subscribe(subject)
    // The start was given up meanwhile.
    if (this.#isClosed) return subscription.close()
    this.#subscriptions.push(subscription)
    void this.#read(subscription, handle)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#end()
    try {
      await this.#client.publish(this.#subjects.here, [this.node, null])
    } catch {
      // The client is closed, or not connected: the others see that.
    }
  }

  async call(type: string, data: unknown, options: CallOptions = {}): Promise<unknown[]> {
    checkCallOptions(options)
    return await values(this.#asking(type, data, options), type, options)
  }

  async first(type: string, data: unknown, options: CallOptions = {}): Promise<unknown> {
    checkCallOptions(options)
    return await first(this.#asking(type, data, options), type, options)
  }

  each(type: string, data: unknown, options: CallOptions = {}): AsyncIterableIterator<EachAnswer> {
    checkCallOptions(options)
    return each(this.#asking(type, data, options), type)
  }

  handle(type: string, handler: IntercomHandler): () => void {
    return this.handlers.add(type, handler)
  }

  provide(part: string, handlers: Readonly<Record<string, IntercomHandler>>): () => void {
    const added: (() => void)[] = []
    try {
      for (const [key, handler] of Object.entries(handlers))
        added.push(this.handle(`${part}.${key}`, handler))
    } catch (error) {
      // All or none.
      for (const remove of added) remove()
      throw error
    }
    return () => {
      for (const remove of added) remove()
    }
  }

  broadcast(message: unknown): Promise<unknown> {
    return this.#client.publish(this.#subjects.broadcast, message)
  }

  onBroadcast(server: object, listener: (message: unknown) => void): () => void {
    this.#broadcasts.add(listener)
    this.handlers.servers.add(server)
    return () => {
      this.#broadcasts.delete(listener)
      this.handlers.servers.delete(server)
    }
  }

  #asking(type: string, data: unknown, { timeout = this.#timeout, signal }: CallOptions) {
    return (handle: Parameters<Calls['call']>[3]) => this.#calls.call(type, data, { timeout, signal }, handle)
  }

  async #read(subscription: Subscription, handle: (data: unknown, size: number) => void): Promise<void> {
    try {
      for await (const message of subscription) this.#handle(handle, message)
    } catch {
      // The subscription was refused, or taken back: the node is one no more.
    }
    this.#end()
  }

  #handle(handle: (data: unknown, size: number) => void, message: Delivered): void {
    let data: unknown
    try {
      data = message.data
    } catch {
      // Damaged: of whoever published it.
      return
    }
    handle(data, message.length)
  }

  readonly #handleCall = (data: unknown): void => {
    const message = callMessage(data, this.#subjects)
    if (message === undefined) return
    this.#nodes.handleWord(performance.now(), message.caller)
    void this.#answer(message)
  }

  /** Never rejects. A value that cannot be sent is answered with why. */
  async #answer(message: NonNullable<ReturnType<typeof callMessage>>): Promise<void> {
    const status = await this.handlers.answer(message)
    const subject = this.#subjects.answersTo(message.caller)
    const publish = (answer: Status) =>
      this.#client.publishSync(subject, [message.call, this.node, ...answer])
    try {
      publish(status)
    } catch (error) {
      try {
        publish(failed(error))
      } catch {
        // The client is closed, which the other side sees, or has no room even for that.
      }
    }
  }

  readonly #handleAnswer = (data: unknown, size: number): void => {
    const message = answerMessage(data)
    if (message !== undefined) this.#calls.handleAnswer(message, size)
  }

  readonly #handleHere = (data: unknown): void => {
    const message = hereMessage(data)
    if (message === undefined || message.node === this.node) return
    this.#calls.forgetStrangers()
    if (message.epoch === null) {
      this.#nodes.remove(message.node)
      this.#calls.handleGone(message.node)
    } else if (this.#nodes.handleHere(performance.now(), message.node, message.epoch)) {
      this.#greet()
      this.#handleNew()
    }
  }

  readonly #handleBroadcast = (data: unknown): void => {
    for (const listener of this.#broadcasts) {
      try {
        listener(data)
      } catch (error) {
        throwAsync(error)
      }
    }
  }

  /**
   * Waits until as many nodes are heard of as there seem to be, and nobody new for a while: a count of NATS only tells
   * some from none, and that of a gateway counts all that are elsewhere as one.
   */
  #greetings(count: number, quiet: number, most: number): Promise<void> {
    return new Promise(resolve => {
      const end = performance.now() + most
      let timer: Timer | undefined
      const finish = () => {
        this.#handleNew = () => undefined
        resolve()
      }
      this.#handleNew = () => {
        stopTimer(timer)
        const left = end - performance.now()
        // Whoever says all the time that it is new does not delay this.
        if (left <= 0) return finish()
        const isEnough = this.#nodes.present(performance.now()).length >= count
        timer = startTimer(finish, isEnough ? Math.min(quiet, left) : left)
      }
      this.#handleNew()
    })
  }

  /**
   * Somebody does not know of this node: it is told so, at once if it is not one of a crowd, and 0.1 s later: in a
   * cluster other servers hear of a subscription a little later.
   */
  #greet(): void {
    if (this.#greeting.handleNew(performance.now())) this.#say()
    if (this.#againTimer === undefined) this.#sayAgain()
    else this.#hasMoreToGreet = true
  }

  #sayAgain(): void {
    this.#hasMoreToGreet = false
    this.#againTimer = startTimer(() => {
      this.#againTimer = undefined
      this.#say()
      // They have been greeted less than 0.1 s after they came.
      if (this.#hasMoreToGreet) this.#sayAgain()
    }, AGAIN_TIME)
  }

  #scheduleHere(): void {
    this.#hereTimer = startTimer(
      () => {
        this.#say()
        this.#scheduleHere()
      },
      HERE_INTERVAL * (0.5 + Math.random() / 2),
    )
  }

  #say(): void {
    if (this.#isClosed) return
    try {
      this.#client.publishSync(this.#subjects.here, [this.node, this.#epoch])
    } catch {
      // Not connected: it is said again.
    }
  }

  #end(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    stopTimer(this.#hereTimer)
    stopTimer(this.#againTimer)
    for (const subscription of this.#subscriptions) subscription.close()
    this.#calls.close()
    this.handlers.close()
  }
}

/** Starts a node, and resolves with what calls all nodes. */
export async function createIntercom(client: Client, options: CreateIntercomOptions = {}): Promise<Agreed> {
  checkClient(client)
  checkIntercomOptions(options)
  const node = new IntercomNode(client, options)
  const intercom = Object.assign(
    (type: string, data?: unknown, options?: CallOptions) => node.call(type, data, options),
    {
      first: (type: string, data?: unknown, options?: CallOptions) => node.first(type, data, options),
      each: (type: string, data?: unknown, options?: CallOptions) => node.each(type, data, options),
      handle: (type: string, handler: IntercomHandler) => node.handle(type, handler),
      provide: (part: string, handlers: Record<string, IntercomHandler>) => node.provide(part, handlers),
      node: node.node,
      close: () => node.close(),
      [Symbol.asyncDispose]: () => node.close(),
      [INSPECT]: () => `[Intercom ${node.node}]`,
    },
  )
  setIntercomInside(intercom, {
    broadcast: message => node.broadcast(message),
    onBroadcast: (server, listener) => node.onBroadcast(server, listener),
  })
  try {
    await within(() => node.open(), { signal: options.signal }, 'the intercom has not started')
  } catch (error) {
    void node.close()
    throw error
  }
  return intercom
}
