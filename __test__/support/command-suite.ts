// What suites of the command share: a broker that is there, and commands that are stopped.
import { type ConatServer, init } from 'selvedge'
import { Command, type Ended, runCommand } from './command'

/** Has a broker for the tests of a file; what `start` has started is killed after each. */
export function commandSuite(): {
  /** That of the broker, in the environment. */
  readonly env: Record<string, string>
  start(...args: string[]): Command
  run(args: string[], input?: string | Buffer): Promise<Ended>
} {
  let broker: ConatServer
  const env: Record<string, string> = {}
  const running: Command[] = []

  beforeAll(async () => {
    broker = init({ port: 0 })
    await broker.waitUntilReady()
    env.SELVEDGE_SERVER = String(broker.address())
  })
  afterEach(async () => {
    await Promise.all(running.splice(0).map(command => command.stop('SIGKILL')))
  })
  afterAll(() => broker.close())

  return {
    env,
    start: (...args) => {
      const command = new Command(args, env)
      running.push(command)
      return command
    },
    run: (args, input = '') => runCommand(args, { env, input }),
  }
}

export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
}
