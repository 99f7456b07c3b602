// selvedge netstat: the connections of a broker.
import { type Command, InvalidArgumentError } from 'commander'
import { examples } from './command'
import { connections, type LookingOptions, looking, sockets, socketTable, table, withEye } from './looking'
import type { Eye } from './monitor-eye'
import type { Terminal } from './terminal'
import { count } from './values'

interface Options extends LookingOptions {
  limit: number
  sockets?: boolean
}

export function netstat(program: Command): void {
  const command = looking(program.command('netstat'))
    .summary('show the connections of a broker')
    .description(
      'Shows who is connected to a broker: to whoever may see its monitor, or as its system account.',
    )
    .option('--connections', 'show connections (the default)')
    .option('--sockets', 'show sockets instead of connections, by subject')
    .option('--limit <n>', 'show at most this many, 1 to 500', limited, 100)
    .action(run)
  examples(
    command,
    'selvedge netstat --system-password-file monitor.secret',
    'selvedge netstat --system-password-file monitor.secret --sort outbox --limit 10',
    'selvedge netstat --system-password-file monitor.secret --filter ann --json',
    'selvedge netstat --system-password-file monitor.secret --sockets',
  )
}

async function run(options: Options): Promise<void> {
  await withEye(options, async (eye, terminal) => {
    if (options.sockets === true) return await showSockets(eye, terminal, options)
    const { total, matching, rows } = await connections(eye, options, options.limit)
    if (options.json === true) for (const row of rows) await terminal.json(row)
    else for (const line of table(rows)) await terminal.line(line)
    terminal.say(
      `${rows.length} of ${matching} connections${matching === total ? '' : `, of ${total} in all`}`,
    )
  })
}

async function showSockets(eye: Eye, terminal: Terminal, options: Options): Promise<void> {
  const { total, matching, rows } = await sockets(eye, options, options.limit)
  if (options.json === true) for (const row of rows) await terminal.json(row)
  else for (const line of socketTable(rows)) await terminal.line(line)
  terminal.say(`${rows.length} of ${matching} sockets${matching === total ? '' : `, of ${total} in all`}`)
}

function limited(text: string): number {
  const number = count(text)
  if (number > 500) throw new InvalidArgumentError('It must be at most 500.')
  return number
}
