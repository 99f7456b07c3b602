// selvedge sub: prints what is published to patterns.
import type { Command } from 'commander'
import type { Client, Message } from '../index'
import { connecting, examples, formOption, withClient } from './command'
import { type CommonOptions, tellRevocations } from './connection'
import { type Look, printMessage } from './messages'
import { onStop } from './stopping'
import { checkReachable } from './subjects'
import { count, filled, period } from './values'

type Subscription = Awaited<ReturnType<Client['subscribe']>>

interface Options extends CommonOptions, Look {
  queue?: string
  count?: number
  idle?: number
}

export function sub(program: Command): void {
  const command = connecting(program.command('sub'))
    .summary('print messages')
    .description('Subscribes to patterns (* is one token, a final > all that follow) and prints what comes.')
    .argument('<pattern...>')
    .addOption(formOption())
    .option('--queue <name>', 'share the messages with others of that queue group', filled)
    .option('--count <n>', 'stop after this many messages', count)
    .option('--idle <time>', 'stop when nothing has come for this long', period)
    .option('--raw', 'print payloads only')
    .option('--headers', 'print headers, too')
    .option('--no-subject', 'print no subjects')
    .action(run)
  examples(
    command,
    `selvedge sub 'orders.*'`,
    `selvedge sub '>' --json --count 10`,
    'selvedge sub log --idle 2s --raw',
  )
}

async function run(patterns: string[], options: Options): Promise<void> {
  for (const pattern of patterns) checkReachable(pattern)
  await withClient(options, async (client, terminal) => {
    const { queue } = options
    const subscriptions = await Promise.all(
      patterns.map(pattern => client.subscribe(pattern, queue === undefined ? {} : { queue })),
    )
    if (options.json === true) await terminal.json({ event: 'listening', patterns })
    terminal.say(`listening on ${patterns.join(' ')}`)
    tellRevocations(client, terminal)
    await printUntilDone(subscriptions, options, message => printMessage(terminal, message, options))
  })
}

/** Until enough messages came, none came for too long, or the command is to stop. */
async function printUntilDone(
  subscriptions: readonly Subscription[],
  { count: most = Number.POSITIVE_INFINITY, idle }: Options,
  print: (message: Message) => Promise<void>,
): Promise<void> {
  const close = (): void => {
    for (const subscription of subscriptions) subscription.close()
  }
  const timer = idle === undefined ? undefined : setTimeout(close, idle)
  onStop(close)
  let printed = 0
  // One at a time, so that lines of two patterns are not mixed and no more than asked for are printed.
  let turn = Promise.resolve()
  await Promise.all(
    subscriptions.map(async subscription => {
      for await (const message of subscription) {
        timer?.refresh()
        turn = turn.then(async () => {
          if (printed >= most) return
          printed += 1
          await print(message)
          if (printed === most) close()
        })
        await turn
      }
    }),
  )
  clearTimeout(timer)
}
