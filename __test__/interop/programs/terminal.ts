// A terminal, as programs for Conat write one: what is typed goes to a process, what it prints to all who watch.
import { EventEmitter } from 'node:events'
import type { Client, ConatSocketClient, ConatSocketServer, Message } from 'selvedge'

/** Echoes what is typed, like a shell without commands. */
class Pty extends EventEmitter {
  size = { rows: 24, cols: 80 }

  write(text: string): void {
    this.emit('data', text.toUpperCase())
  }

  kill(): void {
    this.emit('exit', 0)
  }
}

export function terminalServer(client: Client, subject: string): ConatSocketServer {
  const server = client.socket.listen(subject, { keepAlive: 10_000, keepAliveTimeout: 10_000 })
  const pty = new Pty()
  let history = ''
  pty.on('data', text => {
    history += text
    server.write(text)
  })
  pty.on('exit', () => void server.end({ timeout: 5000 }))
  server.on('connection', socket => {
    socket.on('data', (text: string) => pty.write(text))
    socket.on('request', (mesg: Message) => {
      const { cmd, ...rest } = mesg.data
      switch (cmd) {
        case 'history':
          return mesg.respondSync(history)
        case 'size':
          pty.size = rest as Pty['size']
          server.forEach(other => {
            if (other !== socket) other.write(null, { headers: { cmd: 'size', ...rest } })
          })
          return mesg.respondSync('ok')
        case 'env':
          return mesg.respond({ TERM: 'xterm-256color' }, { noThrow: true })
        case 'kill':
          mesg.respondSync('bye')
          return pty.kill()
        default:
          return mesg.respondSync(null, { headers: { error: `unknown command '${cmd}'` } })
      }
    })
  })
  return server
}

export class Terminal {
  readonly socket: ConatSocketClient
  screen = ''
  size: unknown

  constructor(client: Client, subject: string) {
    this.socket = client.socket.connect(subject)
    this.socket.on('data', (text, headers) => {
      if (headers?.cmd === 'size') this.size = { rows: headers.rows, cols: headers.cols }
      else this.screen += text
    })
  }

  /** What was printed before. */
  async open(): Promise<void> {
    await this.socket.waitUntilReady(10_000)
    this.screen = (await this.ask('history')) as string
  }

  type(text: string): void {
    this.socket.write(text)
  }

  async ask(cmd: string, more: object = {}): Promise<unknown> {
    const { data, headers } = await this.socket.request({ cmd, ...more })
    if (headers?.error) throw Error(`${headers.error}`)
    return data
  }

  async close(): Promise<void> {
    await this.socket.end({ timeout: 5000 })
  }
}
