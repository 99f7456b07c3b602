// `client.conn`: what programs for Conat do with the Socket.IO socket of a client, as a view on the client.
import { EventEmitter } from 'node:events'
import { errorFrom, Failure, timeoutFailure, withCause } from '../values/failure'
import { isDuration } from '../values/option-checks'
import { clearTimer, setTimer } from '../values/platform'
import { askBroker, type Broker } from './broker-events'

/** The client that it is a view on. */
export interface ConnectionOwner extends Broker {
  readonly state: string
  readonly options: object
  readonly connectionId: string | undefined
  /** Why there is no connection, as far as that is known. */
  readonly obstacle: Failure | undefined
  connect(): void
  disconnect(): void
  /** Cuts the connection, as if the network had failed. */
  dropTransport(): void
}

/** The events of Socket.IO, and those of the client that they are. */
const EVENTS: Readonly<Record<string, string>> = {
  connect: 'connected',
  connect_error: 'connectFailed',
  disconnect: 'disconnected',
  info: 'info',
  permission: 'permission',
}
/** Those of its manager. */
const MANAGER_EVENTS: Readonly<Record<string, string>> = {
  open: 'connected',
  reconnect: 'connected',
  error: 'connectFailed',
  reconnect_error: 'connectFailed',
  close: 'disconnected',
}

type Answer = (answer: unknown) => void

/** Passes on the events of a client under other names, each from its first listener on. */
class EventView extends EventEmitter {
  constructor(client: EventEmitter, names: Readonly<Record<string, string>>) {
    super()
    const heard = new Set<string>()
    super.on('newListener', (name: string) => {
      const event = Object.hasOwn(names, name) ? names[name] : undefined
      if (event === undefined || heard.has(name)) return
      heard.add(name)
      client.on(event, (...args: unknown[]) => super.emit(name, ...args))
    })
  }
}

export class ConnectionView extends EventView {
  readonly io: ManagerView
  readonly #client: ConnectionOwner & EventEmitter

  // biome-ignore lint/suspicious/noExplicitAny: whatever events it has
  constructor(client: ConnectionOwner & EventEmitter<any>) {
    super(client, EVENTS)
    this.#client = client
    this.io = new ManagerView(client)
  }

  get connected(): boolean {
    return this.#client.state === 'connected'
  }

  get disconnected(): boolean {
    return !this.connected
  }

  get id(): string | undefined {
    return this.#client.connectionId
  }

  connect(): this {
    this.#client.connect()
    return this
  }

  disconnect(): this {
    this.#client.disconnect()
    return this
  }

  /** Sends an event to the broker; a last argument that is a function gets the answer. */
  override emit(name: string, ...args: unknown[]): boolean {
    const last = args.at(-1)
    const answer = typeof last === 'function' ? (last as Answer) : undefined
    void askBroker(this.#client, name, args[0]).then(value => answer?.(value))
    return true
  }

  async emitWithAck(name: string, ...args: unknown[]): Promise<unknown> {
    return await askBroker(this.#client, name, args[0])
  }

  /** Returns `emit` and `emitWithAck` that give up after so many ms. */
  timeout(timeout: number): {
    emit: (name: string, ...args: unknown[]) => boolean
    emitWithAck: (name: string, ...args: unknown[]) => Promise<unknown>
  } {
    isDuration('timeout', timeout)
    const emitWithAck = async (name: string, ...args: unknown[]): Promise<unknown> => {
      const answer = await within(timeout, askBroker(this.#client, name, args[0]), name)
      if (answer instanceof Failure) throw errorFrom(withCause(answer, this.#client.obstacle))
      return answer
    }
    const emit = (name: string, ...args: unknown[]): boolean => {
      const last = args.at(-1) as ((error: unknown, answer?: unknown) => void) | undefined
      const asked = emitWithAck(name, ...args)
      if (typeof last !== 'function') asked.catch(() => {})
      else
        asked.then(
          answer => last(null, answer),
          error => last(error),
        )
      return true
    }
    return { emit, emitWithAck }
  }
}

/** `client.conn.io`. */
class ManagerView extends EventView {
  readonly engine: { close(): void }
  readonly #client: ConnectionOwner

  constructor(client: ConnectionOwner & EventEmitter) {
    super(client, MANAGER_EVENTS)
    this.#client = client
    this.engine = { close: () => client.dropTransport() }
  }

  get opts(): object {
    return this.#client.options
  }

  connect(): this {
    this.#client.connect()
    return this
  }
}

async function within<T>(timeout: number, asked: Promise<T>, what: string): Promise<T | Failure> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Failure>(resolve => {
    timer = setTimer(() => resolve(timeoutFailure(`'${what}' was not answered`, timeout)), timeout)
  })
  try {
    return await Promise.race([asked, late])
  } finally {
    clearTimer(timer)
  }
}
