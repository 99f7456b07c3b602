// The settings of a socket. The sockets of one server share them.
import type { SocketListenOptions, SocketSettings as SocketOptions } from '../../index'
import type { ClientContext } from '../messaging/client-context'
import { forEngine, type Shape } from '../values/option-checks'
import { LISTEN_SHAPE, socketTimeouts } from './options'

export class SocketSettings<Options extends SocketOptions = SocketListenOptions> {
  readonly options: Readonly<Options>

  /** Keeps a copy. */
  constructor(options: Options) {
    this.options = { ...options }
  }

  get maxQueueSize(): number {
    return this.options.maxQueueSize ?? LISTEN_SHAPE.maxQueueSize.default
  }

  get maxQueueBytes(): number {
    return this.options.maxQueueBytes ?? LISTEN_SHAPE.maxQueueBytes.default
  }

  /** Returns the bytes of one message: the least of what the socket, its client and its broker take. */
  maxMessageBytes(context: ClientContext): number {
    const own = this.options.maxMessageBytes ?? LISTEN_SHAPE.maxMessageBytes.default
    return Math.min(own, context.maxMessageBytes)
  }

  get keepAlive(): number {
    return this.options.keepAlive ?? socketTimeouts.keepAlive
  }

  get keepAliveTimeout(): number {
    return this.options.keepAliveTimeout ?? socketTimeouts.keepAliveTimeout
  }

  /** Returns the settings that the engine gets from either side, for JSON. */
  forEngine(id: string, shape: Shape): Record<string, unknown> {
    const { slowConsumer, slowConsumerTimeout } = this.options
    const settings = forEngine(this.options, shape)
    if (slowConsumer === 'close')
      settings.slowConsumerTimeout = slowConsumerTimeout ?? LISTEN_SHAPE.slowConsumerTimeout.default
    settings.id = id
    settings.keepAlive = this.keepAlive
    settings.keepAliveTimeout = this.keepAliveTimeout
    settings.commandTimeout = socketTimeouts.command
    return settings
  }
}
