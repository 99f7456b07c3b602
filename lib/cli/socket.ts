// selvedge socket: one end of a socket between stdin and stdout, as netcat is of a TCP connection.
import type { Command } from 'commander'
import type { ConatSocketClient } from '../index'
import { connecting, examples, formOption, idleOption, isLines, waitTime, withClient } from './command'
import type { CommonOptions } from './connection'
import { CommandError, codeOf } from './failure'
import { endOf, Input, join } from './joining'
import { checkForm, checkStdin, type Form, lines, payloadFrom, shown, stdin } from './payload'
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
    if (options.wait !== true && !(await client.interest(`${subject}.server.status`))) {
      throw nobody(subject)
    }
    if (options.wait === true) terminal.detail(`waiting until somebody listens on ${subject}`)
    const end = client.socket.connect(subject, { resumeTimeout: options.resume })
    const ended = endOf(end)
    const forget = onStop(() => void end.end().catch(() => {}))
    await end
      .waitUntilReady(options.wait === true ? waitTime(options.timeout, command) : options.timeout)
      .catch(error => {
        throw stopSignal().aborted ? new Stopped() : error
      })
    if (options.json === true) await terminal.json({ event: 'connected', subject })
    else terminal.detail(`connected to ${subject}`)
    if (options.request === true) return askEachLine(end, terminal, options)
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
      ...(form === undefined ? {} : { form }),
    })
  })
}

function nobody(subject: string): CommandError {
  const error = Object.assign(Error(`nobody listens on '${subject}'`), { code: 503 })
  return new CommandError(error, { hint: `selvedge listen ${subject}, or --wait` })
}

async function askEachLine(end: ConatSocketClient, terminal: Terminal, options: Options): Promise<void> {
  const { as: form, timeout } = options
  for await (const line of lines(stdin())) {
    try {
      const answer = await end.request(payloadFrom(line, form, 'auto'), { timeout })
      const { error } = (answer.headers ?? {}) as { error?: unknown }
      if (typeof error === 'string') terminal.say(`error answer: ${error}`)
      else {
        const look = { person: terminal.isPerson, ...(form === undefined ? {} : { form }) }
        await terminal.line(shown(answer.data, look).toString())
      }
    } catch (error) {
      if (end.state === 'closed' || codeOf(error) === 'EPIPE') throw error
      terminal.say(`no answer: ${(error as Error).message}`)
    }
  }
  await end.end()
}
