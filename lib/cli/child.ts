// Programs that answer for `reply --exec` and `listen --exec`.
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { FabricError } from '../index'

export interface Call {
  command: string
  subject: string
  headers?: Readonly<Record<string, unknown>> | null | undefined
}

/** The subject and the headers are in the environment, never in the command line: a shell would read them. */
export function start({
  command,
  subject,
  headers,
}: Call): ChildProcessByStdio<Writable, Readable, Readable> {
  const child = spawn(command, {
    shell: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    // A process group of its own, so that what the shell has started ends with it.
    detached: process.platform !== 'win32',
    env: {
      ...process.env,
      SELVEDGE_SUBJECT: subject,
      SELVEDGE_HEADERS: JSON.stringify(headers ?? {}),
    },
  })
  if (running.size === 0) process.on('exit', killAll)
  running.add(child)
  child.on('close', () => {
    running.delete(child)
    if (running.size === 0) process.off('exit', killAll)
  })
  return child
}

/** A signal of the terminal does not reach their groups: a command that ends at once takes them along. */
const running = new Set<ChildProcess>()

function killAll(): void {
  for (const child of running) kill(child)
}

type Signal = 'SIGTERM' | 'SIGKILL'

interface Signalled {
  pid?: number | undefined
  kill(signal: Signal): boolean
}

/** Signals the program and all that it has started. */
export function kill(child: Signalled, signal: Signal = 'SIGKILL'): void {
  try {
    if (process.platform === 'win32' || child.pid === undefined) child.kill(signal)
    else process.kill(-child.pid, signal)
  } catch {
    // It has ended by itself.
  }
}

/** How long a program may go on after SIGTERM, in ms. */
const GRACE = 1000
const STOPPED = 'the program was stopped'

/** Resolves with what the program prints for this input. At `signal` it gets SIGTERM, and has a moment to print the rest. */
export function answerOf(
  call: Call,
  input: Buffer,
  { timeout, limit, signal }: { timeout: number; limit: number; signal: AbortSignal },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = start(call)
    const output: Buffer[] = []
    let size = 0
    let complaint = ''
    const fail = (text: string, code: string): void => {
      kill(child)
      // What has left the group may hold them open.
      child.stdout.destroy()
      child.stderr.destroy()
      reject(new FabricError(text, code))
    }
    const timer = setTimeout(() => fail(`the program took longer than ${timeout} ms`, 'ETIMEDOUT'), timeout)
    let late: NodeJS.Timeout | undefined
    const stop = (): void => {
      kill(child, 'SIGTERM')
      late = setTimeout(() => fail(STOPPED, 'ABORT_ERR'), GRACE)
    }
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop)
    child.stdout.on('data', (part: Buffer) => {
      size += part.length
      if (size > limit) fail(`the program printed more than ${limit} bytes`, 'ERR_TOO_LARGE')
      else output.push(part)
    })
    child.stderr.on('data', (part: Buffer) => {
      if (complaint.length < 1000) complaint += part.toString()
    })
    child.on('error', error => fail(`the program could not be started: ${error.message}`, 'ERR_SERVICE'))
    child.on('close', (exit, killedBy) => {
      clearTimeout(timer)
      clearTimeout(late)
      signal.removeEventListener('abort', stop)
      if (exit === 0) resolve(Buffer.concat(output))
      else if (signal.aborted) reject(new FabricError(STOPPED, 'ABORT_ERR'))
      else {
        const [line] = complaint.split('\n')
        const how = killedBy === null ? `exit code ${exit}` : `signal ${killedBy}`
        reject(new FabricError(line || `the program ended with ${how}`, 'ERR_SERVICE'))
      }
    })
    // A program need not read what it is given.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}
