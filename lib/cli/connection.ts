// The client of a subcommand: where it connects, who signs in, and what it says when that fails.
import { readFileSync } from 'node:fs'
import type { ConnectOptions } from '../../index'
import { type Client, connect } from '../index'
import { CommandError, codeOf, EXIT, textOf, UsageError } from './failure'
import { Stopped, stopped } from './stopping'
import type { Terminal, Verbosity } from './terminal'

export interface CommonOptions extends Verbosity {
  server?: string
  user?: string
  passwordFile?: string
  systemPasswordFile?: string
  tokenFile?: string
  ca?: string
  cert?: string
  key?: string
  insecure?: boolean
  path?: string
  wire?: 'conat' | 'selvedge'
  header?: Record<string, unknown>
  timeout: number
  retry?: boolean
  json?: boolean
}

export const DEFAULT_SERVER = 'http://127.0.0.1:3000'

export function addressOf(options: Pick<CommonOptions, 'server'>): { address: string; from: string } {
  if (options.server !== undefined) return { address: options.server, from: '--server' }
  for (const name of ['SELVEDGE_SERVER', 'CONAT_SERVER']) {
    const address = process.env[name]
    if (address !== undefined && address !== '') return { address, from: name }
  }
  return { address: DEFAULT_SERVER, from: 'the default' }
}

export async function connectOptions(options: CommonOptions): Promise<ConnectOptions> {
  const { address } = addressOf(options)
  const settings: ConnectOptions = { address, noCache: true, offlineTimeout: options.timeout }
  if (options.ca !== undefined) settings.ca = file(options.ca, '--ca')
  if (options.cert !== undefined) settings.cert = file(options.cert, '--cert')
  if (options.key !== undefined) settings.key = file(options.key, '--key')
  if (options.insecure === true) settings.rejectUnauthorized = false
  if (options.path !== undefined) settings.path = options.path
  if (options.wire !== undefined) settings.wire = options.wire
  const token =
    options.tokenFile === undefined ? tokenOfEnvironment() : secret(options.tokenFile, '--token-file')
  if (options.user !== undefined) {
    settings.user = options.user
    settings.password = await passwordOf(options)
  } else if (token !== undefined) settings.token = token
  if (options.systemPasswordFile !== undefined) {
    settings.systemAccountPassword = secret(options.systemPasswordFile, '--system-password-file')
  }
  return settings
}

async function passwordOf(options: CommonOptions): Promise<string> {
  if (options.passwordFile !== undefined) return secret(options.passwordFile, '--password-file')
  if (process.stdin.isTTY !== true)
    throw new UsageError('--user needs --password-file where there is no terminal to ask on')
  return askSecret(`password of ${options.user}: `)
}

export function secret(name: string, option: string): string {
  const text = trimmed(file(name, option).toString())
  if (text === '') throw new UsageError(`nothing is in '${name}' of ${option}`)
  return text
}

/** A variable that is empty is none, as it is for addresses. */
function tokenOfEnvironment(): string | undefined {
  return trimmed(process.env.SELVEDGE_TOKEN ?? '') || undefined
}

/** Without the end of the line, which editors and `echo` add. */
function trimmed(text: string): string {
  return text.replace(/\r?\n$/, '')
}

export function file(name: string, option: string): Buffer {
  try {
    return readFileSync(name)
  } catch (error) {
    throw new UsageError(`cannot read '${name}' of ${option}: ${(error as Error).message}`)
  }
}

/** Asks on the terminal, without an echo. */
export async function askSecret(question: string): Promise<string> {
  const { stdin } = process
  const forget = onEnd(code => {
    stdin.setRawMode(false)
    process.stderr.write('\n')
    process.exit(code)
  })
  stdin.setRawMode(true)
  stdin.resume()
  process.stderr.write(question)
  try {
    let text = ''
    for await (const part of stdin as AsyncIterable<Buffer>) {
      for (const character of part.toString()) {
        if (character === '\r' || character === '\n') return text
        if (character === '\u0003') process.kill(process.pid, 'SIGINT')
        text = character === '\u007f' ? text.slice(0, -1) : text + character
      }
    }
    return text
  } finally {
    forget()
    stdin.setRawMode(false)
    process.stderr.write('\n')
  }
}

const ENDING = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const

/** Calls `end` with the exit code of a signal that ends the process. Returns what takes it back. */
function onEnd(end: (code: number) => void): () => void {
  const handlers = Object.entries(ENDING).map(([name, code]) => [name, () => end(code)] as const)
  for (const [name, handle] of handlers) process.on(name, handle)
  return () => {
    for (const [name, handle] of handlers) process.off(name, handle)
  }
}

/** Resolves with a client that is ready; the first attempt decides, unless `--retry` is given. */
export async function open(options: CommonOptions, terminal: Terminal): Promise<Client> {
  const { address, from } = addressOf(options)
  terminal.detail(`server ${address} (${from})`)
  const client = clientOf(await connectOptions(options), options)
  // A client that was connected and refused keeps no process alive.
  const waiting = setInterval(() => {}, HOLD)
  const attempts = new Attempts(options, terminal, address)
  const fail = (reason: Error): void => attempts.tellFailed(reason)
  try {
    await new Promise<void>((resolve, reject) => {
      client.once('inbox', resolve)
      void stopped().then(() => reject(new Stopped()))
      client.on('signInRefused', reason => {
        const full = overLimit(reason)
        if (full === undefined) reject(new CommandError(reason, { exit: EXIT.permission }))
        else if (options.retry !== true) reject(noConnection(full, address))
        // Others may leave.
        else fail(full)
      })
      if (options.retry === true) client.on('connectFailed', fail)
      else client.on('connectFailed', reason => reject(noConnection(reason, address)))
      if (options.retry === true) return
      const timer = setTimeout(() => {
        reject(noConnection(Object.assign(Error('no answer'), { code: 408 }), address))
      }, options.timeout)
      client.once('inbox', () => clearTimeout(timer))
      client.once('closed', () => clearTimeout(timer))
    })
  } catch (error) {
    await client.close()
    throw error
  } finally {
    clearInterval(waiting)
  }
  attempts.tellConnected()
  tellLosses(client, terminal, options.json === true)
  return client
}

function clientOf(settings: ConnectOptions, { tokenFile }: CommonOptions): Client {
  try {
    return connect(settings)
  } catch (error) {
    if (!textOf(error).startsWith('token ')) throw error
    // The user has given no option of this name.
    const from = tokenFile === undefined ? 'SELVEDGE_TOKEN' : `'${tokenFile}' of --token-file`
    throw new UsageError(`${from}: the ${textOf(error)}`)
  }
}

/** Says why there is no connection yet: once for each cause, not for each attempt. */
class Attempts {
  readonly #options: CommonOptions
  readonly #terminal: Terminal
  readonly #address: string
  #known: string | undefined
  #isOver = false

  constructor(options: CommonOptions, terminal: Terminal, address: string) {
    this.#options = options
    this.#terminal = terminal
    this.#address = address
  }

  tellFailed(reason: Error): void {
    const { message } = reason
    if (this.#isOver || message === this.#known) return
    this.#known = message
    const code = codeOf(reason) ?? null
    if (this.#options.json === true) void this.#terminal.json({ event: 'disconnected', code, message })
    const why = code === null ? message : `${message} (${code})`
    this.#terminal.say(`no connection to ${this.#address}: ${why}, trying again`)
  }

  tellConnected(): void {
    this.#isOver = true
    if (this.#known === undefined) return
    if (this.#options.json === true) void this.#terminal.json({ event: 'connected' })
    this.#terminal.say('connected')
  }
}

/** In ms; it does nothing. */
const HOLD = 60_000

/** The code of a broker that has as many connections as it may have. */
export const OVER_LIMIT = 429

/** Returns why a client is refused whoever it is: there is no room for another one. */
function overLimit(reason: Error): Error | undefined {
  const { cause } = reason
  return codeOf(cause) === OVER_LIMIT ? (cause as Error) : undefined
}

function noConnection(reason: Error, address: string): CommandError {
  const isDown = address === DEFAULT_SERVER && codeOf(reason) !== OVER_LIMIT
  const error = new CommandError(reason, {
    exit: codeOf(reason) === 'ERR_SIGN_IN' || codeOf(reason) === 403 ? EXIT.permission : EXIT.connection,
    hint: isDown ? 'selvedge broker' : `selvedge doctor --server ${address}`,
  })
  error.message = `no connection to ${address}: ${reason.message}`
  return error
}

/** Says that a subscription has been taken back: it hears nothing until it is permitted again. */
export function tellRevocations(client: Client, terminal: Terminal): void {
  client.on('permission', ({ type, message }) => {
    if (type === 'sub') terminal.say(message)
  })
}

/** Says once that the broker is gone, not at each attempt. */
function tellLosses(client: Client, terminal: Terminal, json: boolean): void {
  let lost = false
  client.on('disconnected', reason => {
    if (lost || client.state === 'closed') return
    lost = true
    const code = codeOf(reason && (overLimit(reason) ?? reason)) ?? 'ECONNRESET'
    if (json) void terminal.json({ event: 'disconnected', code, message: reason?.message ?? null })
    terminal.say(`disconnected (${code}), trying again`)
  })
  client.on('connected', () => {
    if (!lost) return
    lost = false
    if (json) void terminal.json({ event: 'connected' })
    terminal.say('connected again')
  })
}
