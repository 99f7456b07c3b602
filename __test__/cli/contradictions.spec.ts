// Options that leave others without a meaning are refused, before anything is tried.
import { join } from 'node:path'
import { createProgram } from '../../lib/cli/program'
import { Command } from '../support/command'

const SIGN = ['--user', 'ann', '--token-file', 'x']

test.each<[string[], RegExp]>([
  [['pub', 'x', '--lines', '--count', '3'], /'--lines' cannot be used with option '--count <n>'/],
  [['pub', 'x', 'data', '--lines'], /give DATA or --lines, not both/],
  [['sub', 'x', '--json', '--raw'], /'--json' cannot be used with option '--raw'/],
  [['sub', 'x', '--json', '--no-subject'], /'--json' cannot be used with option '--no-subject'/],
  [['sub', 'x', '--raw', '--headers'], /'--raw' cannot be used with option '--headers'/],
  [['req', 'x', '1', '--json', '--raw'], /'--json' cannot be used with option '--raw'/],
  [['req', 'x', '1', '--raw', '--headers'], /'--raw' cannot be used with option '--headers'/],
  [['req', 'x', '1', '--max-wait', '1s'], /--max-wait needs --replies/],
  [['reply', 'x', '--echo', '--exec', 'cat'], /'--echo' cannot be used with option '--exec <command>'/],
  [['reply', 'x', '--echo', '--as', 'text'], /'--echo' cannot be used with option '--as <form>'/],
  [['socket', 'x', '--lines', '--bytes'], /'--bytes' cannot be used with option '--lines'/],
  [['socket', 'x', '--request', '--bytes'], /'--bytes' cannot be used with option '--request'/],
  [['socket', 'x', '--bytes', '--as', 'json'], /--as json is of messages, and this is a stream of bytes/],
  [['socket', 'x', '--as', 'text'], /--as text is of messages, and this is a stream of bytes/],
  [['listen', 'x', '--as', 'msgpack'], /--as msgpack is of messages, and this is a stream of bytes/],
  [['listen', 'x', '--lines', '--bytes'], /'--bytes' cannot be used with option '--lines'/],
  ...['--lines', '--bytes', '--as text', '--keep', '--idle 1s', '--exec cat'].map(
    (option): [string[], RegExp] => [
      ['listen', 'x', '--echo', ...option.split(' ')],
      new RegExp(`'--echo' cannot be used with option '${option.split(' ')[0]}`),
    ],
  ),
  ...['--lines', '--bytes', '--as text', '--keep', '--idle 1s'].map((option): [string[], RegExp] => [
    ['listen', 'x', '--exec', 'cat', ...option.split(' ')],
    new RegExp(`'--exec <command>' cannot be used with option '${option.split(' ')[0]}`),
  ]),
  ...['--echo', '--exec cat', '--keep'].map((option): [string[], RegExp] => [
    ['listen', 'x', '--one', ...option.split(' ')],
    new RegExp(`'--one' cannot be used with option '${option.split(' ')[0]}`),
  ]),
  [['netstat', '--sockets', '--sort', 'outbox'], /'--sockets' cannot be used with option '--sort <key>'/],
  [['netstat', '--sockets', '--order', 'asc'], /'--sockets' cannot be used with option '--order <order>'/],
  [['netstat', '--sockets', '--connections'], /'--sockets' cannot be used with option '--connections'/],
  [['top', '--once', '--interval', '2s'], /'--once' cannot be used with option '--interval <time>'/],
  [['broker', '-q', '-v'], /'-q, --quiet' cannot be used with option '-v, --verbose'/],
  [['bench', ...SIGN], /'--user <name>' cannot be used with option '--token-file <file>'/],
  [['doctor', '--insecure', '--ca', 'x'], /'--insecure' cannot be used with option '--ca <file>'/],
  [['expose', 'x', '1', '--password-file', 'x'], /--password-file needs --user/],
  [['forward', 'x', '1', '--cert', 'x'], /--cert needs --key/],
  [['sub', 'x', '--key', 'x'], /--key needs --cert/],
])('%j', async (args, complaint) => {
  const { exit, stdout, stderr } = await new Command(args, {}, join(__dirname)).ended
  expect({ exit, stdout, stderr }).toEqual({
    exit: 2,
    stdout: '',
    stderr: expect.stringMatching(complaint) as string,
  })
})

// A misspelt name in a table of theirs would refuse nothing.
test('whatever connects knows that of all', () => {
  const commands = createProgram().commands.filter(({ options }) =>
    options.some(({ long }) => long === '--server'),
  )
  expect(commands.length).toBeGreaterThan(8)
  for (const { options } of commands) {
    const conflicts = Object.fromEntries(
      options.map(option => [
        option.attributeName(),
        (option as unknown as { conflictsWith: string[] }).conflictsWith,
      ]),
    )
    expect(conflicts).toMatchObject({
      quiet: expect.arrayContaining(['verbose']),
      user: expect.arrayContaining(['tokenFile']),
      insecure: expect.arrayContaining(['ca']),
    })
  }
})
