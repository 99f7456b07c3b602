// selvedge pub: publishes one message, several, or one for each line of stdin.

import type { Command } from 'commander'
import type { Client } from '../index'
import { connecting, examples, formOption, headerOption, withClient } from './command'
import type { CommonOptions } from './connection'
import { CommandError, codeOf, EXIT, textOf, UsageError } from './failure'
import { type Form, lines, payloadFrom, payloadOf, stdin } from './payload'
import { pause, Stopped, stopSignal } from './stopping'
import { count, duration } from './values'

interface Options extends CommonOptions {
  as?: Form
  count?: number
  sleep?: number
  lines?: boolean
  wait?: boolean
  require?: boolean
}

export function pub(program: Command): void {
  const command = connecting(program.command('pub'))
    .summary('publish a message')
    .description(
      'Publishes DATA, or what comes from stdin where DATA is left out or -: text, or bytes if it is not UTF-8.',
    )
    .argument('<subject>')
    .argument('[data]')
    .addOption(headerOption())
    .addOption(formOption())
    .option('--count <n>', 'publish it this many times', count)
    .option('--sleep <time>', 'wait between two messages', duration)
    .option('--lines', 'publish each line of stdin as a message')
    .option('--wait', 'wait until somebody has subscribed')
    .option('--require', 'exit with 5 if nobody received it')
    .action(run)
  examples(
    command,
    `selvedge pub orders.new '{"id":1}'`,
    'echo hello | selvedge pub greetings',
    'seq 3 | selvedge pub --lines numbers',
  )
}

async function run(subject: string, data: string | undefined, options: Options): Promise<void> {
  if (options.lines === true && data !== undefined && data !== '-')
    throw new UsageError('give DATA or --lines, not both')
  await withClient(options, async (client, terminal) => {
    if (options.wait === true && !(await client.interest(subject, { signal: stopSignal() }))) {
      terminal.say(`waiting until somebody is subscribed to ${subject}`)
    }
    let messages = 0
    let bytes = 0
    let fewest = Number.POSITIVE_INFINITY
    const publishAll = async (): Promise<void> => {
      for await (const payload of payloads(data, options)) {
        if (messages > 0 && options.sleep !== undefined) await pause(options.sleep, stopSignal())
        if (stopSignal().aborted) break
        const sent = await publishOne(client, subject, payload, options).catch(ended)
        if (sent === undefined) break
        if (options.json === true) {
          await terminal.json({ event: 'published', subject, bytes: sent.bytes, count: sent.count })
        }
        if (options.require === true && sent.count === 0) throw nobody(subject)
        messages += 1
        bytes += sent.bytes
        fewest = Math.min(fewest, sent.count)
      }
    }
    await publishAll().catch(error => {
      throw partial(error, messages, options)
    })
    if (messages === 0 && stopSignal().aborted) throw new Stopped()
    if (messages === 1) {
      terminal.say(`published ${bytes} bytes to ${subject}, ${subscribers(fewest)}`)
    } else {
      terminal.say(`published ${messages} messages with ${bytes} bytes to ${subject}`)
    }
  })
}

async function* payloads(data: string | undefined, options: Options): AsyncIterableIterator<unknown> {
  if (options.lines === true) {
    for await (const line of lines(stdin())) yield payloadFrom(line, options.as)
    return
  }
  const payload = await payloadOf(data, options.as)
  for (let sent = 0; sent < (options.count ?? 1); sent += 1) yield payload
}

function publishOne(client: Client, subject: string, payload: unknown, options: Options) {
  const { header: headers, timeout, wait: waitForInterest } = options
  return client.publish(subject, payload, {
    timeout,
    ...(headers === undefined ? {} : { headers }),
    // A wait for somebody ends with the command; what is on its way is confirmed.
    ...(waitForInterest === true ? { waitForInterest, signal: stopSignal() } : {}),
  })
}

/** Nothing where the command was stopped. */
function ended(error: unknown): undefined {
  if (codeOf(error) !== 'ABORT_ERR') throw error
}

/** What of several messages was published before something failed. */
function partial(error: unknown, published: number, { lines: isLines, count }: Options): unknown {
  if (error instanceof Stopped || (isLines !== true && count === undefined)) return error
  const what = isLines === true ? 'line' : 'message'
  const { hint } = error as { hint?: string }
  const told = new CommandError(error, hint === undefined ? {} : { hint })
  const before = published === 1 ? `1 ${what} was` : `${published} ${what}s were`
  told.message = `${what} ${published + 1}: ${textOf(error)}; ${before} published before`
  return told
}

function nobody(subject: string): CommandError {
  return new CommandError(Object.assign(Error(`nobody listens on '${subject}'`), { code: 503 }), {
    exit: EXIT.nobody,
    hint: `selvedge sub ${subject}`,
  })
}

function subscribers(number: number): string {
  return number === 1 ? '1 subscriber' : `${number} subscribers`
}
