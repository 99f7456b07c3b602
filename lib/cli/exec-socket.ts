// Programs that answer for `listen --exec`: each is joined to a socket by its stdin and stdout.
import type { ChildProcess } from 'node:child_process'
import type { ServerSocket } from '../index'
import { lossOf } from './broker-loss'
import { kill, start } from './child'
import { codeOf } from './failure'
import { answersEnd } from './half-close'
import { shown } from './payload'
import type { Terminal } from './terminal'

interface Running {
  readonly child: ChildProcess
  readonly socket: ServerSocket
  /** Why it is killed. */
  why?: string
}

export class SocketPrograms {
  readonly #terminal: Terminal
  /** How long a program may go on when its socket has ended in order, in ms. */
  readonly #patience: number
  readonly #running = new Set<Running>()

  constructor(terminal: Terminal, patience: number) {
    this.#terminal = terminal
    this.#patience = patience
  }

  /**
   * Its stdin ends when the other end has ended its input, or the socket in order; it is killed when the socket
   * is lost. The socket ends in order when the program ends with 0; else both sides are told how it has ended.
   */
  run(socket: ServerSocket, subject: string, command: string): void {
    const child = start({ command, subject })
    const running: Running = { child, socket }
    this.#running.add(running)
    child.stderr.pipe(process.stderr, { end: false })
    child.stdin.on('error', () => {})
    child.stdin.on('drain', () => socket.resume())
    socket.on('data', data => {
      if (!child.stdin.write(bytesOf(data)) && !child.stdin.destroyed) socket.pause()
    })
    // Behind all that was written: who says it has waited until that was handled.
    socket.on('request', request => {
      if (answersEnd(request, true)) child.stdin.end()
    })
    socket.on('closed', reason => {
      if (codeOf(reason) !== 'ERR_SOCKET_CLOSED_BY_PEER' || reason?.missing) {
        return end(running, (reason ?? lossOf(socket))?.message ?? 'its socket was closed')
      }
      child.stdin.end()
      const late = setTimeout(() => end(running, LATE), this.#patience)
      child.on('close', () => clearTimeout(late))
    })
    const written = writeAll(child.stdout, socket)
    void failureOf(child).then(async failure => {
      this.#running.delete(running)
      const { why } = running
      if (failure === undefined && why === undefined) {
        await written
        await socket.end().catch(() => {})
        return
      }
      const text = why === undefined ? `the program ${failure}` : `the program was killed: ${why}`
      this.#terminal.say(`socket ${socket.id}: ${text}`)
      await written
      // What it has answered comes before that.
      await socket.drain({ timeout: this.#patience }).catch(() => {})
      socket.destroy(Error(text))
    })
  }

  /** Ends all that are left. */
  close(): void {
    for (const running of this.#running) {
      running.socket.destroy(Error(STOPPED))
      end(running, STOPPED)
    }
  }
}

export const STOPPED = 'the server was stopped'
const LATE = 'it went on for longer than --resume after its socket had ended'

function end(running: Running, why: string): void {
  running.why ??= why
  kill(running.child)
}

/** Resolves when it has ended: with how, unless with 0. */
function failureOf(child: ChildProcess): Promise<string | undefined> {
  return new Promise(resolve => {
    child.on('error', error => resolve(`could not be started: ${error.message}`))
    child.on('close', (exit, killedBy) => {
      if (exit === 0) resolve(undefined)
      else resolve(`ended with ${killedBy === null ? `exit code ${exit}` : `signal ${killedBy}`}`)
    })
  })
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
  } catch {
    // The socket is closed, which is told of elsewhere.
  }
}
