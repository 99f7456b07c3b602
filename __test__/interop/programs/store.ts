// A layer that stores messages, as programs for Conat write one: it saves whole batches of them, and plays them back.
import {
  type Client,
  type ConatSocketClient,
  type ConatSocketServer,
  type Message,
  MessageData,
  messageData,
  type ServerSocket,
} from 'selvedge'

interface Stored {
  seq: number
  message: { encoding: number; raw: Uint8Array; headers?: Record<string, unknown> | null }
}

export class StoreServer {
  readonly log: Stored[] = []
  readonly server: ConatSocketServer

  constructor(client: Client, subject: string) {
    this.server = client.socket.listen(subject)
    this.server.on('connection', socket => this.#serve(socket))
  }

  #serve(socket: ServerSocket): void {
    socket.on('request', (mesg: Message) => {
      const { cmd, messages, start } = mesg.data
      try {
        if (cmd === 'save')
          mesg.respondSync(messages.map((message: Stored['message']) => this.#save(message)))
        else if (cmd === 'load') mesg.respondSync(this.log.filter(({ seq }) => seq >= start))
        else throw Error(`unknown command ${cmd}`)
      } catch (err) {
        mesg.respondSync(null, { headers: { error: `${err}` } })
      }
    })
  }

  #save(message: Stored['message']): number {
    const seq = this.log.length + 1
    this.log.push({ seq, message })
    // Everybody learns of it.
    this.server.write({ seq, message })
    return seq
  }

  close(): void {
    this.server.close()
  }
}

export class Store {
  readonly socket: ConatSocketClient
  readonly seen: MessageData[] = []
  #unsaved: MessageData[] = []

  constructor(client: Client, subject: string) {
    this.socket = client.socket.connect(subject, { reconnection: true })
    this.socket.on('data', ({ message }: Stored) => this.seen.push(new MessageData(message)))
  }

  /** Kept until `save`. */
  publish(value: unknown, headers?: Record<string, unknown>): void {
    this.#unsaved.push(messageData(value, { headers }))
  }

  async save(): Promise<number[]> {
    const messages = this.#unsaved
    this.#unsaved = []
    return (await this.#ask({ cmd: 'save', messages })) as number[]
  }

  async load(start = 1): Promise<{ seq: number; value: unknown; headers: unknown }[]> {
    const stored = (await this.#ask({ cmd: 'load', start })) as Stored[]
    return stored.map(({ seq, message }) => {
      const { data, headers } = new MessageData(message)
      return { seq, value: data, headers }
    })
  }

  async #ask(question: object): Promise<unknown> {
    const { data, headers } = await this.socket.request(question, { timeout: 10_000 })
    if (headers?.error) throw Error(`${headers.error}`)
    return data
  }

  close(): void {
    this.socket.close()
  }
}
