// The command `selvedge` as a process of its own.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { join } from 'node:path'

/** The file that `bin` of package.json names. */
export const ENTRY = join(__dirname, '../../dist/cli/index.js')

export interface Ended {
  exit: number | null
  stdout: string
  stderr: string
}

export class Command {
  readonly child: ChildProcessWithoutNullStreams
  readonly ended: Promise<Ended>
  readonly output: Buffer[] = []
  #stdout = ''
  #stderr = ''
  readonly #waiting = new Set<() => void>()

  /** Of arguments, or of a whole line for a shell. */
  constructor(
    command: readonly string[] | string,
    env: Readonly<Record<string, string | undefined>> = {},
    cwd?: string,
  ) {
    const options = { env: { ...process.env, ...env }, ...(cwd === undefined ? {} : { cwd }) }
    this.child =
      typeof command === 'string'
        ? spawn('bash', ['-c', command], options)
        : spawn(process.execPath, [ENTRY, ...command], options)
    this.child.stdin.on('error', () => {})
    this.child.stdout.on('data', (part: Buffer) => {
      this.output.push(part)
      this.#stdout += part.toString()
      this.#look()
    })
    this.child.stderr.on('data', (part: Buffer) => {
      this.#stderr += part.toString()
      this.#look()
    })
    this.ended = new Promise(resolve => {
      this.child.on('close', exit => {
        resolve({ exit, stdout: this.#stdout, stderr: this.#stderr })
        this.#look()
      })
    })
  }

  /** Resolves with the match once stdout or stderr has it; rejects if the command ends without. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.#stdout) ?? pattern.exec(this.#stderr)
      if (found !== null) return found
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        throw Error(`ended without ${pattern}: ${this.#stdout}${this.#stderr}`)
      }
      await new Promise<void>(resolve => this.#waiting.add(resolve))
    }
  }

  /** Resolves with what it was when it ended. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.child.kill(signal)
    return this.ended
  }

  #look(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const resume of waiting) resume()
  }
}

/** Runs the command to its end, with this on its stdin. */
export async function runCommand(
  args: readonly string[],
  { input = '', env }: { input?: string | Buffer; env?: Readonly<Record<string, string | undefined>> } = {},
): Promise<Ended> {
  const command = new Command(args, env)
  command.child.stdin.end(input)
  return command.ended
}
