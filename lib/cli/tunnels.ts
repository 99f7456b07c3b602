// selvedge expose, selvedge forward: a TCP or Unix socket server on a subject, and a subject on a port.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Command } from 'commander'
import type { BridgeStats, NodePlace } from '../../types/net'
import type { Client } from '../index'
import { over } from '../net'
import { connecting, examples, withClient } from './command'
import type { CommonOptions } from './connection'
import { CommandError, codeOf, EXIT } from './failure'
import { stopped } from './stopping'
import { checkReachable } from './subjects'
import type { Terminal } from './terminal'
import { count, period, place } from './values'

interface Options extends CommonOptions {
  maxConnections?: number
  share?: boolean
  drainDeadline: number
}

interface Tunnel {
  readonly stats: BridgeStats
  drain(options?: { deadline?: number }): Promise<void>
  on(name: 'error' | 'refused', handle: (error: Error) => void): unknown
  on(name: 'joined', handle: () => void): unknown
}

export function expose(program: Command): void {
  const command = tunnel(program.command('expose'))
    .summary('put a TCP server on a subject')
    .description('Passes connections to SUBJECT on to a TCP server or a Unix socket.')
    .argument('<subject>')
    .argument('<place>', '[HOST:]PORT, or the path of a Unix socket', place)
    .option(
      '--share',
      'share the connections with others that expose the subject, instead of failing if there are any',
    )
    .action(async (subject: string, target: NodePlace, options: Options) => {
      checkReachable(subject)
      await withClient(options, async (client, terminal) => {
        const share = options.share === true ? { reusePort: true } : {}
        const server = over(client).expose(subject, local(target), { ...limits(options), ...share })
        await Promise.race([once(server, 'listening'), failure(server, SUBJECT_TAKEN)])
        tellRefusals(server, terminal, options, shownPlace(target), async error => error.message)
        await serve(server, terminal, options, `exposing ${shownPlace(target)} on ${subject}`, {
          event: 'listening',
          subject,
        })
      })
    })
  examples(command, 'selvedge expose db.main 5432', 'selvedge expose docker ./docker.sock')
}

export function forward(program: Command): void {
  const command = tunnel(program.command('forward'))
    .summary('put a subject on a local port')
    .description('Listens on a port or a Unix socket, and passes connections on to SUBJECT. Port 0 is any.')
    .argument('<subject>')
    .argument('<place>', '[HOST:]PORT, or the path of a Unix socket', place)
    .action(async (subject: string, target: NodePlace, options: Options) => {
      await withClient(options, async (client, terminal) => {
        const server = over(client).forward(subject, local(target), limits(options))
        if (!server.listening) await Promise.race([once(server, 'listening'), failure(server)])
        const address = server.address() as AddressInfo | string
        const at = typeof address === 'string' ? address : hostAndPort(address)
        if (options.json !== true) await terminal.line(at)
        tellRefusals(server, terminal, options, subject, error => whyRefused(client, subject, error))
        await serve(server, terminal, options, `forwarding ${at} to ${subject}`, {
          event: 'listening',
          address: at,
          subject,
        })
      })
    })
  examples(command, 'selvedge forward db.main 5432', 'selvedge forward db.main 0')
}

function tunnel(command: Command): Command {
  return connecting(command)
    .option('--max-connections <n>', 'refuse more connections than that', count)
    .option('--drain-deadline <time>', 'how long open connections may take to end at SIGTERM', period, 10_000)
}

function limits({ maxConnections }: Options): { maxConnections?: number } {
  return maxConnections === undefined ? {} : { maxConnections }
}

/** Nobody else on the network is let in by mistake. */
function local(target: NodePlace): NodePlace {
  return 'path' in target ? target : { host: '127.0.0.1', ...target }
}

function shownPlace(target: NodePlace): string {
  if ('path' in target) return target.path
  return target.host === undefined ? `127.0.0.1:${target.port}` : `${target.host}:${target.port}`
}

function hostAndPort({ address, port, family }: AddressInfo): string {
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`
}

const PORT_TAKEN = 'ss -ltnp, to see who has that port; or port 0'
const SUBJECT_TAKEN = 'the subject is exposed already: --share, to share its connections; or another subject'

/** Rejects when the tunnel cannot be built, or breaks. */
function failure(server: Tunnel, taken = PORT_TAKEN): Promise<never> {
  return new Promise((_, reject) => {
    server.on('error', error => {
      const { code } = error as { code?: string }
      const hint = code === 'EADDRINUSE' ? taken : undefined
      reject(new CommandError(error, { exit: EXIT.failed, ...(hint === undefined ? {} : { hint }) }))
    })
  })
}

/** Says why connections are not made, and that they are again: once a change, not once a connection. */
function tellRefusals(
  server: Tunnel,
  terminal: Terminal,
  { json }: Options,
  where: string,
  explain: (error: Error) => Promise<string>,
): void {
  let known: string | undefined
  let joined = 0
  server.on('refused', error => {
    const code = codeOf(error) ?? 'ECONNRESET'
    const before = joined
    void explain(error).then(message => {
      // Causes may share a code, and one that is over by now is none.
      if (message === known || joined !== before) return
      known = message
      if (json === true) void terminal.json({ event: 'refused', code, message })
      terminal.say(`no connection to ${where}: ${message}`)
    })
  })
  server.on('joined', () => {
    joined += 1
    if (known === undefined) return
    known = undefined
    if (json === true) void terminal.json({ event: 'joined' })
    terminal.say(`connected to ${where}`)
  })
}

/** What refuses may be the subject, or the server that is exposed there. */
async function whyRefused(client: Client, subject: string, error: Error): Promise<string> {
  if (codeOf(error) !== 'ECONNREFUSED') return error.message
  const isExposed = await client.interest(`${subject}.server.status`).catch(() => undefined)
  if (isExposed === undefined) return error.message
  return isExposed ? `what is exposed there refuses (${error.message})` : 'nobody exposes it'
}

async function serve(
  server: Tunnel,
  terminal: Terminal,
  options: Options,
  text: string,
  event: object,
): Promise<void> {
  if (options.json === true) await terminal.json(event)
  terminal.say(text)
  await Promise.race([stopped(), failure(server)])
  const { active } = server.stats
  if (active > 0) terminal.say(`draining: ${active} connections, at most ${options.drainDeadline / 1000} s`)
  await server.drain({ deadline: options.drainDeadline })
  const { connections, bytesIn, bytesOut, refused } = server.stats
  if (options.json === true) await terminal.json({ event: 'closed', connections, refused, bytesIn, bytesOut })
  terminal.say(`closed: ${connections} connections, ${bytesIn} bytes in, ${bytesOut} bytes out`)
}
