// The connecting end of a socket of the original's kind, in both dialects.
import { Channel, noop, type SocketOptions } from './channel'
import type { Client, Message } from './client'
import { ATTEMPT, CMD, randomId } from './wire'

const FIRST_PAUSE = 100

export class SocketClient extends Channel {
  readonly id: string
  #server: string | undefined
  #attempt = 0
  /** Of the try to connect that counts; a newer one ends the older. */
  #round = 0
  #handleConnected: (attempt: unknown) => void = noop
  #subscription: { close(): void; confirmed: Promise<void> } | undefined
  readonly #handleUp = () => void this.#connect()
  readonly #handleDown = () => this.#disconnect()

  constructor(
    client: Client,
    readonly subject: string,
    options: SocketOptions,
  ) {
    super(client, options)
    this.id = options.id ?? randomId()
    // A hasty one asks for its server before the inbox is subscribed again, as the original does.
    client.on(client.options.isHasty ? 'signed-in' : 'ready', this.#handleUp)
    client.on('down', this.#handleDown)
    if (client.isReady) void this.#connect()
  }

  protected override get peer(): string {
    return `${this.subject}.server.${this.#server}.${this.id}`
  }

  close(): void {
    if (this.state === 'closed') return
    const headers = { [CMD]: 'close', id: this.id }
    if (this.#server !== undefined && this.client.isReady) {
      if (this.options.dialect === 'attempt') this.client.publishSync(this.peer, null, { headers })
      else void this.client.request(this.peer, null, { headers }).catch(noop)
    }
    this.#finish()
  }

  /** Says `disconnected`, and connects again. */
  protected override reset(): void {
    if (this.state === 'closed') return
    this.#disconnect()
    void this.#connect()
  }

  #disconnect(): void {
    this.#round++
    this.detach()
    this.setState('disconnected')
  }

  async #connect(): Promise<void> {
    const round = ++this.#round
    const isOver = () => round !== this.#round || this.state === 'closed'
    let pause = FIRST_PAUSE
    while (!isOver()) {
      try {
        this.setState('connecting')
        const answer = await this.client.request(`${this.subject}.server.status`, null)
        this.#server = answer.data.id
        this.#subscription ??= this.client.subscribe(`${this.subject}.client.${this.id}`, message => {
          if (!this.isMute) this.#handleMessage(message)
        })
        await this.#subscription.confirmed
        if (isOver()) return
        if (this.options.dialect === 'classic') await this.#ask()
        else await this.#attemptIt()
        if (!isOver()) this.attach()
        return
      } catch {
        await new Promise(resolve => setTimeout(resolve, pause))
        pause = Math.min(pause * 1.3, 10_000)
      }
    }
  }

  async #ask(): Promise<void> {
    const headers = { [CMD]: 'connect', id: this.id }
    const answer = await this.client.request(this.peer, null, { headers, waitForInterest: true })
    if (answer.data !== 'connected') throw Error(`answer to connect: ${answer.data}`)
  }

  async #attemptIt(): Promise<void> {
    const attempt = ++this.#attempt
    const connected = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(reject, 1000, Error('timeout'))
      this.#handleConnected = echoed => {
        if (echoed !== attempt) return
        clearTimeout(timer)
        resolve()
      }
    })
    connected.catch(noop)
    const headers = { [CMD]: 'connect', [ATTEMPT]: attempt, id: this.id }
    const { count } = await this.client.publish(this.peer, null, { headers })
    if (count === 0) throw Error('no server')
    await connected
  }

  #handleMessage(message: Message): void {
    const command = message.headers?.[CMD]
    if (command === 'close') this.#finish()
    else if (command === 'connected') this.#handleConnected(message.headers?.[ATTEMPT])
    else this.handle(message)
  }

  #finish(): void {
    this.#subscription?.close()
    this.detach()
    this.client.off('ready', this.#handleUp)
    this.client.off('signed-in', this.#handleUp)
    this.client.off('down', this.#handleDown)
    this.setState('closed')
  }
}
