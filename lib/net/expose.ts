// A TCP or Unix socket server, or any other stream, on a subject.
import { closeSync, openSync } from 'node:fs'
import nodeNet from 'node:net'
import { devNull } from 'node:os'
import type { Duplex } from 'node:stream'
import type { BridgeStats, ExposeOptions, NodePlace } from '../../types/net'
import { startTimer } from '../async/timer'
import { argType, codedError, outOfRange, systemError } from './errors'
import { join, newStats } from './joining'
import { OpenStreams } from './open-streams'
import { checkNetOptions } from './option-checks'
import { DIAL_TIMEOUT } from './options'
import { Server } from './server'
import type { Socket } from './socket'
import { type DrainOptions, drained } from './waits'

/** A server that exposes something. */
export class ExposingServer extends Server {
  readonly #stats = newStats()
  readonly #open = new OpenStreams()
  readonly #target: NodePlace | ((socket: Socket) => Duplex)
  /** Dialled for connections that are about to be accepted, by the id of their socket. */
  readonly #dialled = new Map<string, Duplex>()

  constructor(target: NodePlace | ((socket: Socket) => Duplex), options: ExposeOptions) {
    checkNetOptions(options)
    const { allow } = options
    const connectTimeout = options.connectTimeout ?? DIAL_TIMEOUT
    super({
      ...options,
      allowHalfOpen: true,
      pauseOnConnect: true,
      acceptTimeout: options.acceptTimeout ?? 0,
      accept: async info => {
        try {
          if (allow != null && !(await allow(info))) throw codedError('EACCES', 'not allowed')
          await options.accept?.(info)
          if (typeof target === 'function') return
          const inner = await dial(target, connectTimeout)
          this.#dialled.set(info.id, inner)
          inner.once('close', () => this.#dialled.delete(info.id))
        } catch (error) {
          this.#stats.refused += 1
          this.emit('refused', error)
          throw error
        }
      },
    })
    this.#target = target
    if (options.maxConnections !== undefined) this.maxConnections = options.maxConnections
    this.on('drop', () => {
      this.#stats.refused += 1
    })
    this.on('connection', (socket: Socket) => this.#connect(socket))
    this.on('undecided', (id: string) => this.#dialled.get(id)?.destroy())
  }

  get stats(): BridgeStats {
    return { ...this.#stats }
  }

  /** Accepts nobody new; what is open at the deadline is cut off. */
  async drain(options?: DrainOptions): Promise<void> {
    await drained(this, this.#open, options)
  }

  #connect(socket: Socket): void {
    const target = this.#target
    const id = socket.remoteAddress as string
    let inner: Duplex | undefined
    try {
      inner = typeof target === 'function' ? target(socket) : this.#dialled.get(id)
    } catch {
      inner = undefined
    }
    this.#dialled.delete(id)
    if (inner === undefined || inner.destroyed) {
      socket.on('error', () => {}).resetAndDestroy()
      return
    }
    for (const stream of [socket, inner]) this.#open.add(stream)
    join(socket, inner, this.#stats)
    this.emit('joined')
  }
}

/** Returns a connection to a TCP or Unix socket. */
async function dial(place: NodePlace, timeout: number): Promise<nodeNet.Socket> {
  const socket = nodeNet.connect({ ...place, allowHalfOpen: true, noDelay: true } as nodeNet.NetConnectOpts)
  await new Promise<void>((resolve, reject) => {
    const timer =
      timeout > 0
        ? startTimer(timeout, () => socket.destroy(codedError('ETIMEDOUT', 'connect ETIMEDOUT')))
        : undefined
    socket.once('error', error => {
      timer?.stop()
      reject(shortageBehind(error) ?? error)
    })
    socket.once('connect', () => {
      timer?.stop()
      resolve()
    })
  })
  // Whoever is joined to it hears of its errors.
  return socket.on('error', () => {})
}

/** Returns what is behind a failed lookup, which names it by chance: that no more files may be opened. */
function shortageBehind(error: NodeJS.ErrnoException): Error | undefined {
  if (error.syscall !== 'getaddrinfo') return undefined
  try {
    closeSync(openSync(devNull, 'r'))
    return undefined
  } catch (cause) {
    return systemError('connect', (cause as NodeJS.ErrnoException).code ?? 'EMFILE', undefined, error)
  }
}

export function checkPlace(name: string, place: unknown): void {
  if (typeof place !== 'object' || place === null) throw argType(name, 'of type object', place)
  const { port, path } = place as NodePlace & Record<string, unknown>
  if (typeof path === 'string') return
  // Node takes numbers as text, too.
  const number = port == null || (port as unknown) === '' ? Number.NaN : Number(port)
  if (!Number.isInteger(number)) throw argType(`${name}.port`, 'of type number', port)
  if (number < 0 || number > 65_535) throw outOfRange(`${name}.port`, '>= 0 && <= 65535', number)
}
