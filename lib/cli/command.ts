// What all subcommands share: their options, their examples, a client that is closed at the end.
import { type Command, Option } from 'commander'
import type { Client } from '../index'
import { type CommonOptions, open } from './connection'
import { FORMS } from './payload'
import { Terminal } from './terminal'
import { duration, header, oneOf, period } from './values'

/** The options of whatever connects. */
export function connecting(command: Command): Command {
  return talking(command)
    .option(
      '-s, --server <url>',
      'address of the broker; also nats:// and unix: (default: http://127.0.0.1:3000)',
    )
    .option(
      '--user <name>',
      'sign in with this name; the password comes from --password-file, or is asked for',
    )
    .option('--password-file <file>', 'password of --user')
    .option('--token-file <file>', 'sign in with a token; also SELVEDGE_TOKEN')
    .option('--ca <file>', 'trusted certificates, PEM')
    .option('--cert <file>', 'certificate of this client, PEM')
    .option('--key <file>', 'private key of --cert, PEM')
    .option('--insecure', 'accept any certificate')
    .option('--path <path>', 'path of the WebSocket endpoint')
    .option('--wire <protocol>', 'conat or selvedge', oneOf('conat', 'selvedge'))
    .option('-t, --timeout <time>', 'how long to wait for one answer: 500, 5s, 2m', period, 30_000)
    .option('--retry', 'go on trying when the first connection fails')
}

/** The options of whatever prints. */
export function talking(command: Command): Command {
  return command
    .option('--json', 'print JSON lines')
    .option('-q, --quiet', 'say nothing on stderr but errors')
    .option('-v, --verbose', 'say more on stderr', (_, before: number) => before + 1, 0)
}

export function headerOption(): Option {
  return new Option(
    '-H, --header <name:value>',
    'a header; may be repeated; name:="5" is always text',
  ).argParser(header)
}

export function formOption(): Option {
  return new Option('--as <form>', `how payloads are read and shown: ${FORMS.join(', ')}`).argParser(
    oneOf(...FORMS),
  )
}

/** Of the ends of sockets between stdin and stdout. */
export function idleOption(): Option {
  return new Option(
    '--idle <time>',
    'after the end of stdin, how long to wait for more of a peer that does not end; 0: not at all',
  )
    .argParser(duration)
    .default(5000, '5s')
}

/** Whether such an end has a message for each line. */
export function isLines({ lines, bytes }: { lines?: boolean; bytes?: boolean }): boolean {
  return bytes !== true && (lines === true || process.stdin.isTTY === true)
}

/** How long a command with `--wait` waits: for ever, unless a time was given. */
export function waitTime(timeout: number, command: Command): number {
  return command.getOptionValueSource('timeout') === 'default' ? 2 ** 31 - 1 : timeout
}

/** Examples under the help; CI runs each of them. */
export function examples(command: Command, ...texts: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${texts.map(text => `  $ ${text}`).join('\n')}`)
}

/** Runs `work` with a client that is ready, and closes it whatever happens. */
export async function withClient(
  options: CommonOptions,
  work: (client: Client, terminal: Terminal) => Promise<void>,
): Promise<void> {
  const terminal = new Terminal(options)
  const client = await open(options, terminal)
  try {
    await work(client, terminal)
  } finally {
    await client.close()
  }
}
