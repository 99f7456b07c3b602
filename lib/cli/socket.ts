// selvedge socket: one end of a socket between stdin and stdout, as netcat is of a TCP connection.
import type { Command } from 'commander'
import type { ConatSocketClient } from '../index'
import { lostWithBroker } from './broker-loss'
import { connecting, examples, formOption, idleOption, isLines, waitTime, withClient } from './command'
import type { CommonOptions } from './connection'
import { CommandError, codeOf, EXIT, textOf } from './failure'
import { Input } from './input'
import { closedByPeer, endOf, join } from './joining'
import { checkForm, checkStdin, type Form, jsonParts, lines, payloadFrom, shown, stdin } from './payload'
import { onStop, Stopped, stopSignal } from './stopping'
import type { Terminal } from './terminal'
import { period } from './values'

interface Options extends CommonOptions {
  as?: Form
  lines?: boolean
  bytes?: boolean
  request?: boolean
  wait?: boolean
  resume: number
  idle: number
}

export function socket(program: Command): void {
  const command = connecting(program.command('socket'))
    .summary('connect a socket to stdin and stdout')
    .description(
      'Connects to a socket server. After the end of stdin it goes on reading until the peer ends, or sends nothing for the time of --idle. An empty stdin that is not a file only listens.',
    )
    .argument('<subject>')
    .addOption(formOption())
    .option('--lines', 'a message for each line (the default on a terminal)')
    .option('--bytes', 'a stream of bytes (the default in a pipe)')
    .option('--request', 'send each line as a request and print its answer')
    .option('--wait', 'wait until somebody listens: for ever, or as long as -t says')
    .option('--resume <time>', 'how long to wait for a peer or a broker that is gone', period, 10_000)
    .addOption(idleOption())
    .action(run)
  examples(
    command,
    'selvedge socket chat',
    'selvedge socket backup < data.tar',
    'selvedge socket calc --request',
  )
}

async function run(subject: string, options: Options, command: Command): Promise<void> {
  const { isFile } = checkStdin()
  checkForm(options.as, options.request === true || isLines(options))
  await withClient(options, async (client, terminal) => {
    // First of all, since it checks the subject.
    const end = client.socket.connect(subject, { resumeTimeout: options.resume })
    const ended = endOf(end)
    if (!(await client.interest(`${subject}.server.status`))) {
      if (options.wait !== true) throw nobody(subject)
      terminal.say(`waiting until somebody listens on ${subject}`)
    }
    const forget = onStop(() => void end.end().catch(() => {}))
    await end
      .waitUntilReady(options.wait === true ? waitTime(options.timeout, command) : options.timeout)
      .catch(error => {
        if (stopSignal().aborted) throw new Stopped()
        // The server takes no more.
        throw codeOf(error) === 429 ? new CommandError(error, { exit: EXIT.undelivered }) : error
      })
    if (options.json === true) await terminal.json({ event: 'connected', subject })
    else terminal.detail(`connected to ${subject}`)
    lostWithBroker(client, options.resume)(end)
    if (options.request === true) {
      const lost = ended.then(error => {
        if (error !== undefined) throw error
      })
      return Promise.race([
        askEachLine(end, terminal, options, ended),
        lost.then(() => new Promise<void>(() => {})),
      ])
    }
    const { as: form } = options
    // From here on it matters what is cut off.
    forget()
    await join(end, {
      input: new Input(process.stdin, isLines(options), isFile),
      output: process.stdout,
      person: terminal.isPerson,
      idle: options.idle,
      say: text => terminal.say(text),
      ended,
      hasNext: false,
      ...(form === undefined ? {} : { form }),
    })
  })
}

function nobody(subject: string): CommandError {
  const error = Object.assign(Error(`nobody listens on '${subject}'`), { code: 503 })
  return new CommandError(error, { hint: `selvedge listen ${subject}, or --wait` })
}

async function askEachLine(
  end: ConatSocketClient,
  terminal: Terminal,
  options: Options,
  ended: ReturnType<typeof endOf>,
): Promise<void> {
  const { as: form, timeout, json } = options
  let asked = 0
  const failures: unknown[] = []
  for await (const line of lines(stdin())) {
    const payload = payloadFrom(line, form, 'auto')
    asked += 1
    try {
      const answer = await end.request(payload, { timeout })
      const { error, code } = (answer.headers ?? {}) as { error?: unknown; code?: unknown }
      if (typeof error === 'string') throw Object.assign(Error(error), { code })
      if (json === true) {
        await terminal.json({ event: 'answer', line: asked, ...jsonParts(answer) })
        continue
      }
      const look = { person: terminal.isPerson, ...(form === undefined ? {} : { form }) }
      await terminal.line(shown(answer.data, look).toString())
    } catch (error) {
      if (end.state === 'closed' || codeOf(error) === 'EPIPE') {
        throw stopSignal().aborted ? error : ((await ended) ?? closedByPeer(`line ${asked} was not answered`))
      }
      failures.push(error)
      const message = textOf(error)
      if (json === true) {
        await terminal.json({ event: 'error', line: asked, code: codeOf(error) ?? null, message })
      }
      terminal.say(`line ${asked}: ${message}`)
    }
  }
  await end.end()
  if (failures.length > 0) throw unanswered(asked, failures)
}

/** The command has gone on; its exit code is that of the first line without an answer, as `req` would have had. */
function unanswered(asked: number, failures: readonly unknown[]): CommandError {
  const error = new CommandError(failures[0])
  const lines = asked === 1 ? '1 line' : `${asked} lines`
  error.message = `${failures.length} of ${lines} had no answer, or an error for one`
  return error
}
