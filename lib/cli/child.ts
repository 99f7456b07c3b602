// Programs that answer for `reply --exec` and `listen --exec`.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
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
  return spawn(command, {
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
}

export function kill(child: { pid?: number | undefined; kill(signal: 'SIGKILL'): boolean }): void {
  try {
    if (process.platform === 'win32' || child.pid === undefined) child.kill('SIGKILL')
    else process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

/** Resolves with what the program prints for this input. */
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
      reject(new FabricError(text, code))
    }
    const timer = setTimeout(() => fail(`the program took longer than ${timeout} ms`, 'ETIMEDOUT'), timeout)
    const stop = (): void => fail('the program was stopped', 'ABORT_ERR')
    signal.addEventListener('abort', stop)
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
      signal.removeEventListener('abort', stop)
      if (exit === 0) resolve(Buffer.concat(output))
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
