// The settings of a socket. The sockets of one server share them.
import type { SocketListenOptions, SocketSettings as SocketOptions } from '../../index'
import { defaults } from '../engine/defaults'
import { pick } from '../values/option-checks'

/** Milliseconds that a window may stay full before `slowConsumer: 'close'` closes the socket. */
const SLOW_CONSUMER_TIMEOUT = 30_000

export class SocketSettings<Options extends SocketOptions = SocketListenOptions> {
  readonly options: Readonly<Options>

  /** Keeps a copy. */
  constructor(options: Options) {
    this.options = { ...options }
  }

  get maxQueueSize(): number {
    return this.options.maxQueueSize ?? defaults.maxQueueSize
  }

  get maxQueueBytes(): number {
    return this.options.maxQueueBytes ?? defaults.maxQueueBytes
  }

  get keepAlive(): number {
    return this.options.keepAlive ?? defaults.keepAlive
  }

  get keepAliveTimeout(): number {
    return this.options.keepAliveTimeout ?? defaults.keepAliveTimeout
  }

  /** Returns the settings that the engine gets from either side, for JSON. */
  forEngine(id: string): Record<string, unknown> {
    const { slowConsumer, slowConsumerTimeout = SLOW_CONSUMER_TIMEOUT } = this.options
    return {
      ...pick(this.options, ['maxQueueSize', 'maxQueueBytes']),
      slowConsumerTimeout: slowConsumer === 'close' ? slowConsumerTimeout : undefined,
      id,
      keepAlive: this.keepAlive,
      keepAliveTimeout: this.keepAliveTimeout,
      commandTimeout: defaults.command,
    }
  }
}
