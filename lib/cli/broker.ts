// selvedge broker: a broker in one line.
import { constants as modes } from 'node:fs'
import { access } from 'node:fs/promises'
import { constants } from 'node:os'
import { dirname } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import type { ServerOptions } from '../../index'
import { type ConatServer, init, isValidSubjectWithoutWildcards } from '../index'
import { reloadAtHangup } from './broker-reload'
import { type BrokerArguments, settingsOf, usersOf } from './broker-settings'
import { warnOfTimes } from './certificates'
import { examples, talking } from './command'
import { CommandError, codeOf, EXIT, textOf } from './failure'
import { keepWatchdogQuiet, tellServiceManager } from './service-manager'
import { stopped } from './stopping'
import { Terminal } from './terminal'
import { inPlaceOfSocket } from './unix-path'
import { collected, count, period, port } from './values'
import { version } from './version'

export function broker(program: Command): void {
  const command = talking(program.command('broker'))
    .summary('run a broker')
    .description(
      'Runs a broker until SIGINT or SIGTERM, then drains it: clients are released one by one. At SIGHUP it reads users, certificates and limits again.',
    )
    .option('-p, --port <port>', 'TCP port; 0 is any (default: 3000)', port)
    .option('--host <host>', 'address to listen on (default: 127.0.0.1)')
    .option('--unix <path>', 'listen on a Unix socket instead')
    .option('--upstream <url>', 'be a gateway onto this server of NATS; may be repeated', collected)
    .option('--tls-cert <file>', 'certificate, PEM; with --tls-key')
    .option('--tls-key <file>', 'private key, PEM')
    .option('--tls-ca <file>', 'authorities that sign the certificates of clients; then they need one')
    .option('-c, --config <file>', 'JSON with comments; keys as in the documentation')
    .option('--users <file>', 'who may sign in, and what they may do')
    .option('--system-password-file <file>', 'password of the system account, for netstat and top')
    .option('--name <name>', 'id of the broker: one token', token)
    .option('--max-connections <n>', 'refuse more connections than that', count)
    .option('--allow-origin <origin>', 'allow web pages of this origin; may be repeated', collected)
    .option('--metrics', 'answer GET /metrics, for Prometheus, to this machine')
    .option('--monitor', 'show a page at /monitor, to this machine')
    .option('--monitor-password-file <file>', 'show it to anyone with this password')
    .option('--drain-deadline <time>', 'how long a drain may take (default: 10s)', period)
    .option('--check', 'read everything, say what it would do, and exit')
    .action(run)
  examples(
    command,
    'selvedge broker',
    'selvedge broker -p 4000 --host 0.0.0.0',
    'selvedge broker --unix ./fabric.sock',
    'selvedge broker --check -p 0',
    'selvedge broker -p 4001 --metrics --monitor',
  )
}

function token(text: string): string {
  if (isValidSubjectWithoutWildcards(text) && !text.includes('.')) return text
  throw new InvalidArgumentError('It must be one token of a subject: without dots, spaces and wildcards.')
}

async function run(options: BrokerArguments): Promise<void> {
  const terminal = new Terminal(options)
  const broker = settingsOf(options)
  const { settings, drainDeadline, usersPath } = broker
  const users = await usersOf(broker)
  warnOfTimes(settings, broker.certificates, terminal)
  if (options.check === true) return check(settings, terminal, options)
  const stop = stopped()
  const server = init(
    users === undefined ? settings : { ...settings, getUser: users.getUser, isAllowed: users.isAllowed },
  )
  sayUpstream(server, terminal)
  const ready = server.waitUntilReady().catch(error => {
    throw cannotListen(error, settings)
  })
  // A gateway is not ready before its upstream is, which may be never.
  if (await Promise.race([ready.then(() => true), stop.then(() => false)])) {
    reloadAtHangup(server, { options, settings, users, usersPath }, terminal)
    await sayReady(server, settings, terminal, options)
    await tellServiceManager('ready')
    // Asks the engine, which has to answer.
    await keepWatchdogQuiet(() => server.totals)
    await Promise.race([stop, closedByItself(server)])
  } else ready.catch(() => {})
  await tellServiceManager('stopping')
  const { connections = 0 } = server.totals ?? {}
  if (options.json === true) await terminal.json({ event: 'draining', connections, deadline: drainDeadline })
  else terminal.say(`draining: ${connections} connections, at most ${drainDeadline / 1000} s`)
  await server.drain({ deadline: drainDeadline })
  await server.close()
  if (options.json === true) await terminal.json({ event: 'closed' })
}

/** Each change of the upstream once, however often it is tried. */
function sayUpstream(server: ConatServer, terminal: Terminal): void {
  let known: 'ready' | 'away' | undefined
  server.on('upstream', (state, error) => {
    if (state === known) return
    known = state
    if (state === 'ready') terminal.say('upstream: ready')
    else
      terminal.say(
        error === undefined ? 'upstream: away' : `upstream: away: ${textOf(error)} (${error.code})`,
      )
  })
}

async function check(settings: ServerOptions, terminal: Terminal, { json }: BrokerArguments): Promise<void> {
  await checkPath(settings)
  const { ssl, monitor, metrics, systemAccountPassword, upstream, ...rest } = settings
  const plan = {
    ...rest,
    upstream: upstream === undefined ? [] : placesOf(upstream),
    tls: ssl !== undefined && ssl !== false,
    monitor: Boolean(monitor),
    metrics: Boolean(metrics),
    systemAccount: systemAccountPassword !== undefined,
  }
  if (json === true) await terminal.json({ event: 'checked', ...plan })
  else await terminal.line(`would listen on ${urlOf(settings)}`)
}

const KNOWN = new Set<string | undefined>(['ENOENT', 'EACCES', 'EADDRINUSE'])
/** As Node.js says it. */
const TAKEN = Object.assign(Error('EADDRINUSE: address already in use, bind'), {
  code: 'EADDRINUSE',
  errno: -constants.errno.EADDRINUSE,
})

/** Throws what a start would say of a Unix socket whose folder is not there or not this user's, or where a file is. */
async function checkPath(settings: ServerOptions): Promise<void> {
  const { socketPath } = settings
  if (socketPath === undefined) return
  try {
    // The dot: of a file that is no folder.
    await access(`${dirname(socketPath)}/.`, modes.W_OK | modes.X_OK)
    if (inPlaceOfSocket(socketPath, 'listens') !== undefined) throw TAKEN
  } catch (reason) {
    const { code, errno = 0, message } = reason as NodeJS.ErrnoException
    const [, text = message] = /^\w+: (.+?),/.exec(message) ?? []
    const told = `${text[0]!.toUpperCase()}${text.slice(1)} (os error ${-errno})`
    const known = KNOWN.has(code) ? code : 'ERR_LISTEN'
    const error = Object.assign(Error(`cannot listen on ${socketPath}: ${told}`), { code: known })
    throw cannotListen(error, settings)
  }
}

/** The servers, without those who sign in. */
function placesOf(upstream: NonNullable<ServerOptions['upstream']>): string[] {
  const address = typeof upstream === 'object' && 'address' in upstream ? upstream.address : upstream
  return [address].flat().map(url => url.replace(/(^|,|\/\/)[^/,]*@/g, '$1'))
}

/** Where it listens; port 0 is known by the server only. */
function urlOf({ socketPath, ssl, host, port }: ServerOptions, server?: ConatServer): string {
  if (socketPath !== undefined) return `unix:${socketPath}`
  const address = server?.address()
  if (address != null) return String(address)
  return `${ssl === undefined ? 'http' : 'https'}://${host}:${port}`
}

async function sayReady(
  server: ConatServer,
  settings: ServerOptions,
  terminal: Terminal,
  { json }: BrokerArguments,
) {
  const url = urlOf(settings, server)
  if (json === true) {
    await terminal.json({ event: 'listening', url, pid: process.pid, version })
    return
  }
  await terminal.line(`selvedge ${version} listening on ${url}`)
  await terminal.line(`  connect   selvedge sub '>' --server ${url}`)
  const metrics = server.metricsAddress() ?? (settings.metrics === undefined ? null : url)
  if (metrics !== null) await terminal.line(`  metrics   ${metrics}/metrics`)
  if (server.options.monitor === true) await terminal.line(`  page      ${url}/monitor`)
}

function closedByItself(server: ConatServer): Promise<never> {
  return new Promise((_, reject) => {
    server.once('closed', reason => reject(new CommandError(reason ?? Error('the broker was closed'))))
  })
}

function cannotListen(error: unknown, { port: wanted, socketPath }: ServerOptions): CommandError {
  const hint =
    socketPath === undefined ? portHint(codeOf(error), wanted) : fileHint(codeOf(error), socketPath)
  return new CommandError(error, { exit: EXIT.failed, ...(hint === undefined ? {} : { hint }) })
}

function portHint(code: string | number | undefined, wanted: ServerOptions['port']): string | undefined {
  if (code === 'EADDRINUSE') {
    return `ss -ltnp 'sport = :${wanted}', to see who has that port; or another --port`
  }
  return code === 'EACCES' ? 'a --port from 1024 on, which needs no privileges' : undefined
}

function fileHint(code: string | number | undefined, path: string): string | undefined {
  switch (code) {
    case 'EADDRINUSE': {
      const other = inPlaceOfSocket(path, 'listens')
      if (other !== undefined) return `another --unix path: ${other} is at this one, and no socket`
      return `another --unix path: a broker listens at this one (selvedge doctor --server unix:${path})`
    }
    case 'ENOENT':
      return `mkdir -p ${dirname(path)}: the folder has to be there`
    case 'EACCES':
      return `another --unix path: this user may not write to ${dirname(path)}`
  }
  return undefined
}
