// selvedge listen: the serving end of sockets, on stdin and stdout or in a program for each.
import type { Command } from 'commander'
import { type ConatSocketServer, FabricError, type ServerSocket } from '../index'
import { lossOf, lostWithBroker } from './broker-loss'
import { connecting, examples, formOption, idleOption, isLines, withClient } from './command'
import type { CommonOptions } from './connection'
import { SocketPrograms, STOPPED } from './exec-socket'
import { CommandError, EXIT, report, textOf } from './failure'
import { answersEnd } from './half-close'
import { Input } from './input'
import { endOf, join } from './joining'
import { checkForm, checkStdin, type Form } from './payload'
import { onStop, stopped, stopSignal } from './stopping'
import { checkReachable } from './subjects'
import { type Terminal, tell } from './terminal'
import { filled, period } from './values'

interface Options extends CommonOptions {
  as?: Form
  lines?: boolean
  bytes?: boolean
  one?: boolean
  echo?: boolean
  exec?: string
  keep?: boolean
  resume: number
  idle: number
}

export function listen(program: Command): void {
  const command = connecting(program.command('listen'))
    .summary('serve sockets')
    .description('Joins the first client to stdin and stdout, or answers every client with --echo or --exec.')
    .argument('<subject>')
    .addOption(formOption())
    .option('--lines', 'a message for each line (the default on a terminal)')
    .option('--bytes', 'a stream of bytes (the default in a pipe)')
    .option('--one', 'join the first client and end with it (the default)')
    .option('--echo', 'send back whatever each client sends')
    .option('--exec <command>', 'run a program for each socket, joined to its stdin and stdout', filled)
    .option('--resume <time>', 'how long to wait for a peer or a broker that is gone', period, 10_000)
    .addOption(idleOption())
    .option('--keep', 'wait for the next client when the first has ended')
    .action(run)
  examples(
    command,
    'selvedge listen chat',
    'selvedge listen backup --one > data.tar',
    'selvedge listen echo --echo',
  )
}

async function run(subject: string, options: Options): Promise<void> {
  const everybody = options.echo === true || options.exec !== undefined
  if (!everybody) checkForm(options.as, isLines(options))
  checkReachable(subject)
  const isFile = !everybody && checkStdin().isFile
  await withClient(options, async (client, terminal) => {
    const server = client.socket.listen(subject, {
      resumeTimeout: options.resume,
    })
    const watch = lostWithBroker(client, options.resume)
    // Whoever waits already connects at once: `connection` has its one listener when the command is ready to serve.
    await server.waitUntilReady(options.timeout)
    if (options.json === true) await terminal.json({ event: 'listening', subject })
    terminal.say(`listening on ${subject}`)
    try {
      await Promise.race([
        everybody
          ? serveAll(server, terminal, options, watch)
          : serveInTurn(server, terminal, options, watch, isFile),
        closedByOthers(server),
      ])
    } finally {
      await server.end().catch(error => terminal.say(textOf(error)))
    }
  })
}

/** Rejects when the server is closed by something else than the command, such as a permission that has been taken back. */
function closedByOthers(server: ConatSocketServer): Promise<never> {
  return new Promise((_, reject) => {
    server.once('closed', reason => {
      if (reason !== undefined) reject(new CommandError(reason))
    })
  })
}

type Watch = (socket: ServerSocket) => void

async function serveAll(
  server: ConatSocketServer,
  terminal: Terminal,
  options: Options,
  watch: Watch,
): Promise<void> {
  const programs = new SocketPrograms(terminal, options.resume)
  const echoes = new Set<ServerSocket>()
  server.on('connection', (socket: ServerSocket) => {
    watch(socket)
    // Where nobody reads stdout any more, the command ends by itself.
    void told(terminal, options, socket).catch(() => {})
    socket.on('closed', given => {
      const reason = given ?? lossOf(socket)
      if (reason !== undefined) terminal.detail(`socket ${socket.id} closed: ${reason.message}`)
    })
    if (options.exec !== undefined) programs.run(socket, server.subject, options.exec)
    else echo(socket, echoes)
  })
  await stopped()
  programs.close()
  // What they go on to send is not sent back.
  for (const socket of echoes) if (socket.stats.received > 0) socket.destroy(Error(STOPPED))
}

/** `open` has it until the other side's input has ended. */
function echo(socket: ServerSocket, open: Set<ServerSocket>): void {
  open.add(socket)
  socket.on('closed', () => open.delete(socket))
  socket.on('data', (data, headers) => {
    if (socket.write(data, { headers })) return
    socket.pause()
    socket.waitUntilWritable().then(
      () => socket.resume(),
      () => {},
    )
  })
  socket.on('request', message => {
    if (!answersEnd(message)) message.respondSync(message.data)
    // All of it has been sent back.
    else {
      open.delete(socket)
      socket.end().catch(() => {})
    }
  })
}

interface Taken {
  readonly socket: ServerSocket
  readonly ended: ReturnType<typeof endOf>
}

/** Lets one client in at a time, before it is connected: the others hear why, and when. */
class Turns {
  /** Those that came when the one before had closed, and was not quite done with. */
  readonly #waiting: Taken[] = []
  #take: ((taken: Taken | undefined) => void) | undefined
  #hasHad = false
  #isStopped = false

  constructor(server: ConatSocketServer, terminal: Terminal, keeps: boolean) {
    let current: ServerSocket | undefined
    server.use(socket => {
      if (current !== undefined || (this.#hasHad && !keeps)) {
        terminal.say(`refused ${socket.id}: another one is joined`)
        throw new FabricError('refused: another one is joined', 429)
      }
      current = socket
      socket.once('closed', () => {
        if (current === socket) current = undefined
      })
    })
    onStop(() => {
      this.#isStopped = true
      this.#take?.(undefined)
    })
  }

  add(socket: ServerSocket): void {
    this.#hasHad = true
    const taken = { socket, ended: endOf(socket) }
    if (this.#take === undefined) this.#waiting.push(taken)
    else this.#take(taken)
    this.#take = undefined
  }

  /** Resolves with nothing when the command is to stop. */
  async next(): Promise<Taken | undefined> {
    if (this.#isStopped) return undefined
    return this.#waiting.shift() ?? new Promise(resolve => (this.#take = resolve))
  }
}

/** Stdin and stdout can be joined to one at a time: who comes meanwhile is told, not left waiting. */
async function serveInTurn(
  server: ConatSocketServer,
  terminal: Terminal,
  options: Options,
  watch: Watch,
  isFile: boolean,
): Promise<void> {
  const keeps = options.keep === true
  const turns = new Turns(server, terminal, keeps)
  server.on('connection', (socket: ServerSocket) => {
    watch(socket)
    turns.add(socket)
  })
  const input = new Input(process.stdin, isLines(options), isFile)
  do {
    const taken = await turns.next()
    if (taken === undefined) return
    const { socket, ended } = taken
    await told(terminal, options, socket)
    const { as: form } = options
    const joined = join(socket, {
      input,
      output: process.stdout,
      person: terminal.isPerson,
      idle: options.idle,
      say: text => terminal.say(text),
      ended,
      hasNext: keeps,
      ...(form === undefined ? {} : { form }),
    })
    // The next one has nothing to do with what this one has lost.
    await (keeps ? joined.catch(tellLost) : joined)
  } while (keeps)
}

function tellLost(error: unknown): void {
  if (stopSignal().aborted || !(error instanceof CommandError) || error.exit !== EXIT.undelivered) throw error
  tell(...report(error))
}

async function told(terminal: Terminal, { json }: Options, { id }: ServerSocket): Promise<void> {
  if (json === true) await terminal.json({ event: 'connection', id })
  else terminal.detail(`connection ${id}`)
}
