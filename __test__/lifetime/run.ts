// Runs a program of ./programs in a process of its own, over the built package.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'

/** How a program ended. */
export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
  /** From the last line that it printed to its end. */
  msAfterOutput: number
}

export interface Program {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** What it has printed so far. */
  output(): string
  /** Resolves when the program has printed `text`. */
  printed(text: string): Promise<void>
}

export interface RunOptions {
  node?: string[]
  env?: NodeJS.ProcessEnv
  /** Whether its standard input stays open until the test ends it. */
  input?: boolean
}

/** A program that has not ended after this long is ended, and its test fails by the signal. */
const LONGEST = 60_000

export function start(
  program: string,
  args: string[] = [],
  { node = [], env = {}, input = false }: RunOptions = {},
): Program {
  const file = join(__dirname, 'programs', program)
  const child = spawn(process.execPath, [...node, file, ...args], {
    env: { ...process.env, CONAT_SERVER: '', SELVEDGE_LOG: '', ...env },
    stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    timeout: LONGEST,
  })
  let stdout = ''
  let stderr = ''
  let lastOutput = Date.now()
  const waiting = new Set<() => void>()
  child.stdout!.on('data', chunk => {
    stdout += chunk
    lastOutput = Date.now()
    for (const look of waiting) look()
  })
  child.stderr!.on('data', chunk => {
    stderr += chunk
  })
  const ended = new Promise<Ended>(resolve => {
    let msAfterOutput = 0
    child.once('exit', () => {
      msAfterOutput = Date.now() - lastOutput
    })
    child.once('close', (code, signal) => {
      for (const look of waiting) look()
      resolve({ code, signal, stdout, stderr, msAfterOutput })
    })
  })
  const printed = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!stdout.includes(text) && child.exitCode === null && child.signalCode === null) return
        waiting.delete(look)
        if (stdout.includes(text)) resolve()
        else reject(Error(`${program} ended without '${text}': ${stdout}${stderr}`))
      }
      waiting.add(look)
      look()
    })
  return { child, ended, printed, output: () => stdout }
}

export const run = (program: string, args?: string[], options?: RunOptions): Promise<Ended> =>
  start(program, args, options).ended
