// Programs that answer for `listen --exec`: each is joined to a socket by its stdin and stdout.
import type { ChildProcess } from 'node:child_process'
import type { ServerSocket } from '../index'
import { kill, start } from './child'
import { codeOf } from './failure'
import { answersEnd } from './half-close'
import { shown } from './payload'
import type { Terminal } from './terminal'

export class SocketPrograms {
  readonly #terminal: Terminal
  /** How long a program may go on when its socket has ended in order, in ms. */
  readonly #patience: number
  readonly #running = new Set<ChildProcess>()

  constructor(terminal: Terminal, patience: number) {
    this.#terminal = terminal
    this.#patience = patience
  }

  /** Its stdin ends when the other end has ended its input, or the socket in order; it is killed when the socket is lost. */
  run(socket: ServerSocket, subject: string, command: string): void {
    const child = start({ command, subject })
    this.#running.add(child)
    child.on('close', () => this.#running.delete(child))
    child.on('error', error => this.#terminal.say(`the program could not be started: ${error.message}`))
    child.stderr.pipe(process.stderr, { end: false })
    child.stdin.on('error', () => {})
    child.stdin.on('drain', () => socket.resume())
    socket.on('data', data => {
      if (!child.stdin.write(bytesOf(data)) && !child.stdin.destroyed) socket.pause()
    })
    // Behind all that was written: who says it has waited until that was handled.
    socket.on('request', request => {
      if (answersEnd(request)) child.stdin.end()
    })
    socket.on('closed', reason => {
      if (codeOf(reason) !== 'ERR_SOCKET_CLOSED_BY_PEER') return kill(child)
      child.stdin.end()
      const late = setTimeout(() => kill(child), this.#patience)
      child.on('close', () => clearTimeout(late))
    })
    void writeAll(child.stdout, socket)
  }

  /** Ends all that are left. */
  close(): void {
    for (const child of this.#running) kill(child)
  }
}

/** Bytes as they are; a value, as lines are, as a line. */
function bytesOf(data: unknown): Uint8Array | string {
  return data instanceof Uint8Array ? data : `${shown(data, { person: false })}\n`
}

async function writeAll(output: AsyncIterable<Buffer>, socket: ServerSocket): Promise<void> {
  try {
    for await (const part of output) {
      if (!socket.write(part)) await socket.waitUntilWritable()
    }
    await socket.end()
  } catch {
    // The socket is closed, which is told of elsewhere.
  }
}
