// The program: its subcommands, and how it ends.
import { Command, CommanderError } from 'commander'
import { bench } from './bench'
import { broker } from './broker'
import { completion } from './completion'
import { refuseContradictions } from './contradictions'
import { doctor } from './doctor'
import { EXIT, exitOf, report } from './failure'
import { listen } from './listen'
import { netstat } from './netstat'
import { hasLostOutput } from './output'
import { pub } from './pub'
import { reply } from './reply'
import { req } from './req'
import { passwd, token } from './secrets'
import { socket } from './socket'
import { Stopped } from './stopping'
import { sub } from './sub'
import { tell } from './terminal'
import { top } from './top'
import { expose, forward } from './tunnels'
import { version } from './version'

/** In the order of the help. */
const SUBCOMMANDS = [
  broker,
  pub,
  sub,
  req,
  reply,
  socket,
  listen,
  expose,
  forward,
  netstat,
  top,
  bench,
  doctor,
  passwd,
  token,
  completion,
]

export function createProgram(): Command {
  const program = new Command('selvedge')
    .description('Reliable sockets, messages and requests on subjects.')
    .version(version)
    .showSuggestionAfterError(true)
    .exitOverride()
  for (const add of SUBCOMMANDS) add(program)
  for (const command of program.commands) {
    command.exitOverride()
    refuseContradictions(command)
  }
  return program
}

/** Resolves with the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const program = createProgram()
  try {
    if (args.length === 0) {
      program.outputHelp({ error: true })
      return EXIT.usage
    }
    await program.parseAsync([...args], { from: 'user' })
    return EXIT.done
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
    if (error instanceof Stopped || hasLostOutput()) return EXIT.done
    tell(...report(error))
    if (args.includes('-vv')) tell(...framesOf(error))
    return exitOf(error)
  }
}

/** Where it was thrown; its text, which may have lines of its own, has been told. */
function framesOf(error: unknown): string[] {
  const { stack = '' } = error as Error
  return stack.split('\n').filter(line => line.startsWith('    at '))
}
