// A broker of the original's kind on the official Socket.IO server: its argument and acknowledgement shapes, its quirks.
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server, type Socket } from 'socket.io'
import { type Chunk, isPattern, isSubject, matches, type Refusal } from './wire'

export interface BrokerOptions {
  port?: number
  maxSubscriptions?: number
  maxConnections?: number
  /** Which publishes and subscribes are forbidden. */
  isAllowed?: (type: 'pub' | 'sub', subject: string) => boolean
}

type Ack = (answer?: unknown) => void
/** Pattern, then queue, then the members of that group. */
type Interest = Map<string, Map<string, Set<Socket>>>

const MAX_PAYLOAD = 8_000_000

export class Broker {
  readonly #http: HttpServer = createServer()
  readonly #io: Server
  readonly #interest: Interest = new Map()
  readonly #waits = new Set<() => void>()
  /** Each with its patterns and their queues. */
  readonly #connections = new Map<Socket, Map<string, string>>()
  /** How often `info` was said, acknowledged or not. */
  infos = 0
  /** How many waits for interest it has ended. */
  lateAnswers = 0

  private constructor(readonly options: BrokerOptions) {
    this.#io = new Server(this.#http, {
      path: '/conat',
      transports: ['websocket'],
      maxHttpBufferSize: MAX_PAYLOAD,
      serveClient: false,
      // The original deflates, if by accident.
      perMessageDeflate: { threshold: 1024 },
    })
    this.#io.on('connection', socket => this.#welcome(socket))
  }

  static async listen(options: BrokerOptions = {}): Promise<Broker> {
    const broker = new Broker(options)
    await new Promise<void>(resolve => broker.#http.listen(options.port ?? 0, '127.0.0.1', resolve))
    return broker
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port
  }

  /** What Socket.IO calls each connection. */
  ids(): string[] {
    return [...this.#io.sockets.sockets.keys()]
  }

  /** What each connection is subscribed to. */
  subscriptions(): string[][] {
    return [...this.#connections.values()].map(subscribed => [...subscribed.keys()])
  }

  /** Loses and adds subscriptions of every connection without telling it. */
  spoil({ forget = [], add = [] }: { forget?: string[]; add?: string[] }): void {
    for (const [socket, subscribed] of this.#connections) {
      for (const pattern of forget) this.#unsubscribe(socket, subscribed, pattern)
      for (const subject of add) this.#subscribe(socket, subscribed, { subject, queue: 'spoilt' })
    }
  }

  /** Cuts the transport of every connection. */
  cut(): void {
    for (const socket of this.#io.sockets.sockets.values()) socket.conn.close()
  }

  async close(): Promise<void> {
    for (const forget of this.#waits) forget()
    this.cut()
    await this.#io.close()
  }

  #welcome(socket: Socket): void {
    const isFull = this.#io.sockets.sockets.size > (this.options.maxConnections ?? 10_000)
    const user = isFull ? { error: 'there is a limit on connections', code: 429 } : null
    this.#greet(socket, user)
    if (isFull) {
      setTimeout(() => socket.disconnect(true), 25)
      return
    }
    const subscribed = new Map<string, string>()
    this.#connections.set(socket, subscribed)
    // `ack?.(act())` would not act at all for those who ask for no acknowledgement.
    const answering = (act: (arg: any) => unknown) => (arg: unknown, ack?: Ack) => {
      const answer = act(arg)
      ack?.(answer)
    }
    socket.on(
      'publish',
      answering(args => this.#publish(socket, args)),
    )
    socket.on(
      'subscribe',
      answering(arg => each(arg, item => this.#subscribe(socket, subscribed, item))),
    )
    socket.on(
      'unsubscribe',
      answering(arg => each(arg, item => this.#unsubscribe(socket, subscribed, item.subject))),
    )
    // Without its null the acknowledgement is taken for it, and nobody is answered.
    socket.on('subscriptions', (_: unknown, ack?: Ack) => ack?.([...subscribed.keys()]))
    // With an argument that one is taken for the acknowledgement.
    socket.on('cluster', (ack: unknown) => typeof ack === 'function' && ack([`127.0.0.1:${this.port}`]))
    socket.on('wait-for-interest', (arg: any, ack: Ack) => this.#awaitInterest(socket, arg, ack))
    socket.on('stats', () => {})
    socket.on('disconnect', () => {
      this.#connections.delete(socket)
      for (const pattern of [...subscribed.keys()]) this.#unsubscribe(socket, subscribed, pattern)
    })
  }

  /** Says `info` until it is acknowledged. */
  #greet(socket: Socket, user: unknown): void {
    const say = () => {
      this.infos++
      socket.emit('info', { max_payload: MAX_PAYLOAD, id: '0', user }, () => clearInterval(timer))
    }
    const timer = setInterval(say, 7500)
    socket.on('disconnect', () => clearInterval(timer))
    say()
  }

  #publish(socket: Socket, [subject, ...chunk]: unknown[]): { count: number } | Refusal {
    if (!isSubject(subject)) return { error: 'Error: invalid subject' }
    const refusal = this.#refusal(socket, 'pub', subject)
    if (refusal) return refusal
    let count = 0
    for (const [pattern, groups] of this.#matching(subject)) {
      for (const members of groups.values()) {
        const member = [...members][Math.floor(Math.random() * members.size)]
        member!.emit(pattern, { subject, data: chunk as Chunk })
        if (pattern !== '>') count++
      }
    }
    return { count }
  }

  #subscribe(socket: Socket, subscribed: Map<string, string>, item: any): { status: string } | Refusal {
    const { subject, queue } = item
    if (!isPattern(subject)) return { error: 'Error: invalid subject' }
    if (typeof queue !== 'string') return { error: 'Error: queue must be specified' }
    const refusal = this.#refusal(socket, 'sub', subject)
    if (refusal) return refusal
    if (subscribed.has(subject)) return { status: 'already-added' }
    const limit = this.options.maxSubscriptions ?? 500
    if (subscribed.size >= limit) {
      return { error: `Error: there is a limit of at most ${limit} subscriptions`, code: 429 }
    }
    subscribed.set(subject, queue)
    const groups = this.#interest.get(subject) ?? new Map<string, Set<Socket>>()
    this.#interest.set(subject, groups.set(queue, (groups.get(queue) ?? new Set()).add(socket)))
    for (const check of this.#waits) check()
    return { status: 'added' }
  }

  #unsubscribe(socket: Socket, subscribed: Map<string, string>, pattern: string): null {
    const queue = subscribed.get(pattern)
    const groups = this.#interest.get(pattern)
    const members = queue === undefined ? undefined : groups?.get(queue)
    subscribed.delete(pattern)
    members?.delete(socket)
    if (members?.size === 0) groups!.delete(queue!)
    if (groups?.size === 0) this.#interest.delete(pattern)
    return null
  }

  #awaitInterest(socket: Socket, { subject, timeout }: { subject: string; timeout: number }, ack: Ack): void {
    const refusal = this.#refusal(socket, 'pub', subject)
    const isThere = () => this.#matching(subject).some(([pattern]) => pattern !== '>')
    if (refusal || isThere() || !timeout) {
      ack(refusal ?? isThere())
      return
    }
    const settle = (answer: unknown) => {
      clearTimeout(timer)
      this.#waits.delete(check)
      if (answer !== undefined) ack(answer)
    }
    const check = () => {
      if (!socket.connected) settle(undefined)
      else if (isThere()) settle(true)
    }
    // Late, as the original is; and an error, not `false`.
    const timer = setTimeout(() => {
      this.lateAnswers++
      settle({ error: 'Error: timeout' })
    }, timeout + 1200)
    this.#waits.add(check)
    socket.on('disconnect', check)
  }

  #matching(subject: string): [string, Map<string, Set<Socket>>][] {
    return [...this.#interest].filter(([pattern]) => matches(pattern, subject))
  }

  #refusal(socket: Socket, type: 'pub' | 'sub', subject: string): Refusal | undefined {
    if (this.options.isAllowed?.(type, subject) ?? true) return undefined
    const act = type === 'pub' ? 'publishing to' : 'subscribing to'
    const error = `permission denied ${act} '${subject}' from null`
    socket.emit('permission', { message: error, subject, type })
    return { error, code: 403 }
  }
}

/** An answer for one, a list of answers for a list. */
function each(arg: any, answer: (item: any) => unknown): unknown {
  return Array.isArray(arg) ? arg.map(answer) : answer(arg)
}
