// What programs are made of that run over Node's own `net` and over ours, and the log of each end.
import { once } from 'node:events'
import type nodeNet from 'node:net'

/** The part of `node:net` that both have. */
export type Net = Pick<typeof nodeNet, 'createServer' | 'connect' | 'Socket' | 'Server'>
export type Socket = nodeNet.Socket

/** One way to run a program. */
export interface Way {
  readonly net: Net
  /** Listens on a free place. */
  listen(server: nodeNet.Server): Promise<void>
  /** Where a server is. */
  place(server: nodeNet.Server): nodeNet.NetConnectOpts
  /** Where nobody is. */
  readonly nowhere: nodeNet.NetConnectOpts
}

/** What happened at one end. Pieces of data are joined: how they are cut is nobody's business. */
export class Log {
  readonly lines: string[] = []

  add(line: string): void {
    this.lines.push(line)
  }

  data(chunk: unknown): void {
    const last = this.lines.length - 1
    if (this.lines[last]?.startsWith('data ')) this.lines[last] += String(chunk)
    else this.lines.push(`data ${chunk}`)
  }

  /** Notes the events of a socket. */
  watch<S extends Socket>(socket: S, { reads = true } = {}): S {
    for (const name of ['connect', 'ready', 'end', 'finish', 'drain', 'timeout'] as const) {
      socket.on(name, () => this.add(name))
    }
    if (reads) socket.on('data', chunk => this.data(chunk))
    socket.on('error', error => this.add(`error ${codeOf(error)}`))
    socket.on('close', hadError => this.add(`close ${hadError}`))
    return socket
  }
}

export function codeOf(error: unknown): string {
  const { code, syscall } = error as NodeJS.ErrnoException
  return syscall === undefined ? String(code) : `${code} ${syscall}`
}

/** What is thrown, by its class and code. */
export function thrown(call: () => unknown): string {
  try {
    call()
    return 'nothing'
  } catch (error) {
    return `${(error as Error).constructor.name} ${(error as NodeJS.ErrnoException).code}`
  }
}

export const closed = (socket: Socket): Promise<unknown> =>
  new Promise(resolve => socket.once('close', resolve))

export type Program = (way: Way) => Promise<Record<string, unknown>>

/** Runs a pair of sockets: each end does its part, and both are awaited. */
export function pair(
  here: (socket: Socket, log: Log) => void,
  there: (socket: Socket, log: Log) => void,
  {
    server: serverOptions = {},
    client: clientOptions = {},
    reads = [true, true],
  }: { server?: nodeNet.ServerOpts; client?: object; reads?: [here: boolean, there: boolean] } = {},
): Program {
  return async way => {
    const [client, accepted, owner] = [new Log(), new Log(), new Log()]
    const server = way.net.createServer(serverOptions)
    server.on('close', () => owner.add('close'))
    await way.listen(server)
    const otherEnded = new Promise((resolve, reject) => {
      server.once('connection', socket => {
        closed(accepted.watch(socket, { reads: reads[1] })).then(resolve, reject)
        there(socket, accepted)
      })
    })
    const socket = client.watch(way.net.connect({ ...way.place(server), ...clientOptions }), {
      reads: reads[0],
    })
    const ended = closed(socket)
    here(socket, client)
    await Promise.all([ended, otherEnded])
    await new Promise<void>(resolve => server.close(() => resolve()))
    return { client: client.lines, accepted: accepted.lines, server: owner.lines }
  }
}

/** Runs `use` with a server that is closed behind it, if it is not already. */
export function served(
  use: (way: Way, server: nodeNet.Server, log: Log) => Promise<Record<string, unknown> | undefined>,
  options: nodeNet.ServerOpts = {},
): Program {
  return async way => {
    const log = new Log()
    const server = way.net.createServer(options)
    await way.listen(server)
    const result = await use(way, server, log)
    if (server.listening) {
      const end = once(server, 'close')
      server.close()
      await end
    }
    return { log: log.lines, ...result }
  }
}

/** A socket that connects to a server. */
export function connected(
  way: Way,
  server: nodeNet.Server,
  options: object = {},
  listener?: () => void,
): Socket {
  return way.net.connect({ ...way.place(server), ...options }, listener)
}

export const nothing = (): void => {}
export const turn = (): Promise<void> => new Promise(setImmediate)
/** With any arguments. */
export const any = (value: unknown): never => value as never

export function errorOf(error: unknown): string {
  const { name, message, code } = error as NodeJS.ErrnoException
  return `${name} ${code} ${message}`
}

/** What is thrown, word for word. */
export function thrownBy(call: () => unknown): string {
  try {
    return `returned ${typeof call()}`
  } catch (error) {
    return errorOf(error)
  }
}
