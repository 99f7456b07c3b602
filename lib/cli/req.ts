// selvedge req: asks, and prints the answer or the answers.
import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import type { Client, Message } from '../index'
import { connecting, examples, formOption, headerOption, withClient } from './command'
import type { CommonOptions } from './connection'
import { CommandError, codeOf } from './failure'
import { type Look, printMessage } from './messages'
import { payloadOf } from './payload'
import { stopSignal } from './stopping'
import type { Terminal } from './terminal'
import { count, period } from './values'

interface Options extends CommonOptions, Look {
  replies?: number | 'all'
  maxWait?: number
}

export function req(program: Command): void {
  const command = connecting(program.command('req'))
    .summary('send a request and print the answer')
    .description(
      'Sends DATA, or what comes from stdin where DATA is left out or -, as a request: text, or bytes if it is not UTF-8.',
    )
    .argument('<subject>')
    .argument('[data]')
    .addOption(headerOption())
    .addOption(formOption())
    .option('--replies <n>', 'print this many answers, or all', replies)
    .option('--max-wait <time>', 'stop when no further answer has come for this long', period)
    .option('--raw', 'print payloads only (the default)')
    .option('--headers', 'print headers, too')
    .action(run)
  examples(command, 'selvedge req math.square 12', 'selvedge req who.is.there --replies all --max-wait 500')
}

function replies(text: string): number | 'all' {
  if (text === 'all') return text
  try {
    return count(text)
  } catch {
    throw new InvalidArgumentError('It must be a whole number of at least 1, or all.')
  }
}

async function run(subject: string, data: string | undefined, options: Options): Promise<void> {
  const payload = await payloadOf(data, options.as)
  await withClient(options, async (client, terminal) => {
    try {
      if (options.replies === undefined) await askOne(client, terminal, subject, payload, options)
      else await askMany(client, terminal, subject, payload, options)
    } catch (error) {
      throw explained(error, subject)
    }
  })
}

async function askOne(
  client: Client,
  terminal: Terminal,
  subject: string,
  payload: unknown,
  options: Options,
) {
  const answer = await client.request(subject, payload, settings(options))
  await printAnswer(terminal, answer, options)
}

async function askMany(
  client: Client,
  terminal: Terminal,
  subject: string,
  payload: unknown,
  options: Options,
) {
  const { replies: wanted, maxWait } = options
  const answers = client.requestMany(subject, payload, {
    ...settings(options),
    ...(typeof wanted === 'number' ? { maxMessages: wanted } : {}),
    ...(maxWait === undefined ? {} : { maxWait }),
  })
  let came = 0
  for await (const answer of answers) {
    await printAnswer(terminal, answer, options)
    came += 1
  }
  // `--max-wait` asks for those that are quick.
  const enough = typeof wanted === 'number' && maxWait === undefined ? wanted : 1
  if (came >= enough || stopSignal().aborted) return
  const text = came === 0 ? 'no answer came in time' : `${came} of ${enough} answers came in time`
  throw Object.assign(Error(`${text} (request '${subject}')`), { code: 408 })
}

function settings({ header: headers, timeout }: Options) {
  const signal = stopSignal()
  return { timeout, signal, ...(headers === undefined ? {} : { headers }) }
}

/** An answer that says an error is one: services answer so. */
async function printAnswer(terminal: Terminal, answer: Message, options: Options): Promise<void> {
  const { error, code } = (answer.headers ?? {}) as { error?: unknown; code?: unknown }
  if (typeof error === 'string') throw new CommandError(Object.assign(Error(error), { code }))
  await printMessage(terminal, answer, { ...options, raw: options.headers !== true, subject: false })
}

function explained(error: unknown, subject: string): unknown {
  if (codeOf(error) === 503) {
    const nobody = Object.assign(Error(`nobody listens on '${subject}'`), { code: 503 })
    return new CommandError(nobody, { hint: `selvedge reply ${subject} --echo` })
  }
  if (codeOf(error) === 408) {
    return new CommandError(error, { hint: 'a longer --timeout, or selvedge doctor' })
  }
  return error
}
