// The listening end of sockets of the original's kind, in both dialects.
import { EventEmitter } from 'node:events'
import { Channel, noop, type SocketOptions } from './channel'
import type { Client, Message } from './client'
import { ATTEMPT, CMD } from './wire'

/** Emits `connection`, `ready`, `closed`. */
export class SocketServer extends EventEmitter {
  readonly id: string
  readonly sockets: Record<string, ServerSocket> = {}
  state = 'connecting'
  readonly #subscriptions: { close(): void; confirmed: Promise<void> }[]
  readonly #arriving = new Set<string>()
  readonly #handleUp = () => {
    for (const socket of Object.values(this.sockets)) socket.resume()
  }
  readonly #handleDown = () => {
    for (const socket of Object.values(this.sockets)) socket.suspend()
  }

  constructor(
    readonly client: Client,
    readonly subject: string,
    readonly options: SocketOptions,
  ) {
    super()
    this.id = options.id ?? client.id
    const status = client.subscribe(`${subject}.server.status`, message =>
      // Answered and forgotten, as the original does.
      client.publishSync(message.reply!, { id: this.id }),
    )
    const mine = client.subscribe(`${subject}.server.${this.id}.*`, message => this.#handle(message))
    this.#subscriptions = [status, mine]
    client.on('ready', this.#handleUp)
    client.on('down', this.#handleDown)
    const confirmed = Promise.all(this.#subscriptions.map(subscription => subscription.confirmed))
    void confirmed.then(() => {
      this.state = 'ready'
      this.emit('ready')
    }, noop)
  }

  close(): void {
    this.client.off('ready', this.#handleUp)
    this.client.off('down', this.#handleDown)
    for (const socket of Object.values(this.sockets)) socket.close()
    for (const { close } of this.#subscriptions) close()
    this.state = 'closed'
    this.emit('closed')
  }

  #handle(message: Message): void {
    const [id = ''] = message.subject.split('.').slice(-1)
    const peer = message.subject.replace(new RegExp(`\\.server\\.${this.id}\\.${id}$`), `.client.${id}`)
    const command = message.headers?.[CMD]
    const socket = this.sockets[id]
    if (socket?.isMute) return
    if (command === 'connect') void this.#accept(id, peer, message)
    else if (socket) socket.handleMessage(message)
    else if (command !== 'close') this.client.publishSync(peer, null, { headers: { [CMD]: 'close' } })
  }

  async #accept(id: string, peer: string, message: Message): Promise<void> {
    if (!this.sockets[id]) {
      if (this.#arriving.has(id)) return
      this.#arriving.add(id)
      const isThere = await this.client.ask('wait-for-interest', { subject: peer, timeout: 5000 }).catch(noop)
      this.#arriving.delete(id)
      if (isThere !== true || this.state === 'closed') return
      const socket = new ServerSocket(this, id, message.subject, peer)
      this.sockets[id] = socket
      this.emit('connection', socket)
    }
    const attempt = message.headers?.[ATTEMPT]
    if (this.options.dialect === 'classic') {
      if (message.reply !== undefined) void message.respond('connected').catch(noop)
    } else if (attempt !== undefined) {
      const headers = { [CMD]: 'connected', [ATTEMPT]: attempt }
      this.client.publishSync(peer, null, { headers })
    }
  }
}

export class ServerSocket extends Channel {
  protected override readonly peer: string

  constructor(
    readonly server: SocketServer,
    readonly id: string,
    readonly subject: string,
    peer: string,
  ) {
    super(server.client, server.options)
    this.peer = peer
    this.attach()
  }

  /** The connection is there again. */
  resume(): void {
    if (this.state === 'disconnected') this.attach()
  }

  /** The connection is lost. */
  suspend(): void {
    this.detach()
    this.setState('disconnected')
  }

  handleMessage(message: Message): void {
    if (message.headers?.[CMD] !== 'close') {
      this.handle(message)
      return
    }
    if (message.reply !== undefined) void message.respond('closed').catch(noop)
    this.#finish()
  }

  close(): void {
    if (this.state === 'closed') return
    if (!this.isMute) this.client.publishSync(this.peer, null, { headers: { [CMD]: 'close' } })
    this.#finish()
  }

  protected override reset(): void {
    this.close()
  }

  #finish(): void {
    delete this.server.sockets[this.id]
    this.detach()
    this.setState('closed')
  }
}
