// selvedge reply: answers requests, with a fixed payload, with what was asked, or with what a program prints.
import { isUtf8 } from 'node:buffer'
import type { Command } from 'commander'
import type { Message } from '../index'
import { type Answer, Answers } from './answers'
import { answerOf } from './child'
import { connecting, examples, formOption, headerOption, withClient } from './command'
import { type CommonOptions, tellRevocations } from './connection'
import { textOf, UsageError } from './failure'
import { type Form, parsePayload, payloadFrom } from './payload'
import { onStop } from './stopping'
import { checkReachable } from './subjects'
import { count, filled, period } from './values'

interface Options extends CommonOptions {
  as?: Form
  echo?: boolean
  exec?: string
  parallel: number
  drainDeadline: number
  queue?: string
  count?: number
}

/** The default of `maxMessageBytes`: the longest answer. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024

export function reply(program: Command): void {
  const command = connecting(program.command('reply'))
    .summary('answer requests')
    .description(
      'Answers each request with DATA, with its own payload (--echo), or with what a program prints (--exec).\n' +
        'The program has the payload on stdin, and SELVEDGE_SUBJECT and SELVEDGE_HEADERS in its environment.',
    )
    .argument('<subject>')
    .argument('[data]')
    .addOption(headerOption())
    .addOption(formOption())
    .option('--echo', 'answer with the payload of the request')
    .option(
      '--exec <command>',
      'answer with the output of a program; anything but exit code 0 is an error answer',
      filled,
    )
    .option('--parallel <n>', 'run at most this many programs at once', count, 8)
    .option(
      '--drain-deadline <time>',
      'how long requests that have begun may take to be answered at SIGTERM',
      period,
      10_000,
    )
    .option('--queue <name>', 'share the requests with others of that queue group', filled)
    .option('--count <n>', 'stop after this many requests', count)
    .action(run)
  examples(
    command,
    'selvedge reply time.is "$(date)"',
    'selvedge reply echo --echo',
    `selvedge reply words.count --exec 'wc -w'`,
  )
}

async function run(subject: string, data: string | undefined, options: Options): Promise<void> {
  const ways = [data !== undefined, options.echo === true, options.exec !== undefined].filter(Boolean)
  if (ways.length !== 1) throw new UsageError('give DATA, --echo or --exec, one of them')
  checkReachable(subject)
  const answer = answering(data, options)
  await withClient(options, async (client, terminal) => {
    const { queue } = options
    const subscription = await client.subscribe(subject, queue === undefined ? {} : { queue })
    if (options.json === true) await terminal.json({ event: 'listening', subject })
    terminal.say(`answering on ${subject}`)
    tellRevocations(client, terminal)
    // Whatever becomes of it, the loop below ends.
    onStop(() => void subscription.drain().catch(() => {}))
    const answers = new Answers(client, terminal, options)
    let begun = 0
    for await (const request of subscription) {
      if (!request.isRequest()) continue
      begun += 1
      answers.begin(request, answer)
      if (options.json === true) await terminal.json({ event: 'request', subject: request.subject })
      else terminal.detail(`request on ${request.subject}, ${request.length} bytes`)
      if (begun === options.count) break
      if (answers.size >= options.parallel) await answers.next()
    }
    await answers.all()
  })
}

/** How long those who asked are told of a program that was stopped, in ms. */
const FAREWELL = 2000

function answering(data: string | undefined, options: Options): Answer {
  const { header: headers, exec, timeout } = options
  const extra = headers === undefined ? {} : { headers }
  if (exec === undefined) {
    const fixed = data === undefined ? undefined : parsePayload(data, options.as ?? 'auto')
    return async (request, signal) => {
      await request.respond(options.echo === true ? request.data : fixed, { ...extra, signal })
    }
  }
  return async (request, signal) => {
    const call = { command: exec, subject: request.subject, headers: request.headers }
    // Once it is to end, nobody is waited for who is not there.
    const sending = () => (signal.aborted ? { waitForInterest: false, timeout: FAREWELL } : { signal })
    let answer: unknown
    try {
      const output = await answerOf(call, inputOf(request), { timeout, limit: MAX_ANSWER_BYTES, signal })
      answer = answered(output, options.as)
    } catch (error) {
      const { code } = error as { code?: unknown }
      await request.respond(null, { ...sending(), headers: { error: textOf(error), code } })
      signal.throwIfAborted()
      return
    }
    await request.respond(answer, { ...extra, ...sending() })
  }
}

/** What a program has printed, without the end of its last line, which bytes do not have. */
function answered(output: Buffer, form: Form | undefined): unknown {
  if (form === 'bytes' || (form === undefined && !isUtf8(output))) return output
  return payloadFrom(output.at(-1) === LF ? output.subarray(0, -1) : output, form, 'auto')
}

const LF = 0x0a

/** What the program reads: text and bytes as they are, everything else as JSON. */
function inputOf(request: Message): Buffer {
  const { data } = request
  if (data instanceof Uint8Array) return Buffer.from(data)
  return Buffer.from(typeof data === 'string' ? data : (JSON.stringify(data) ?? ''))
}
