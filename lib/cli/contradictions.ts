// Options that contradict each other, or are nothing without another one: they are refused, and none is passed over.
import type { Command } from 'commander'
import { UsageError } from './failure'

/** By their names as properties; what the first says leaves the others without a meaning. */
type Contradiction = readonly [option: string, ...others: string[]]

/** Of every command that has them. */
const EVERYWHERE: readonly Contradiction[] = [
  ['quiet', 'verbose'],
  ['user', 'tokenFile'],
  ['insecure', 'ca'],
  ['systemPasswordFile', 'monitorPasswordFile'],
]

const CONTRADICTIONS: Readonly<Record<string, readonly Contradiction[]>> = {
  pub: [['lines', 'count']],
  // A line of JSON has payload, headers and subject.
  sub: [
    ['json', 'raw', 'subject'],
    ['raw', 'headers'],
  ],
  req: [
    ['json', 'raw'],
    ['raw', 'headers'],
  ],
  reply: [['echo', 'exec', 'as']],
  socket: [['bytes', 'lines', 'request']],
  listen: [
    ['bytes', 'lines'],
    ['echo', 'exec', 'lines', 'bytes', 'as', 'keep', 'idle'],
    ['exec', 'lines', 'bytes', 'as', 'keep', 'idle'],
    ['one', 'echo', 'exec', 'keep'],
  ],
  netstat: [['sockets', 'connections', 'sort', 'order']],
  top: [['once', 'interval']],
}

/** What is nothing without another one. */
const NEEDS: Readonly<Record<string, string>> = {
  passwordFile: 'user',
  cert: 'key',
  key: 'cert',
  maxWait: 'replies',
}

export function refuseContradictions(command: Command): void {
  const find = (name: string) => command.options.find(option => option.attributeName() === name)
  for (const [name, ...others] of [...EVERYWHERE, ...(CONTRADICTIONS[command.name()] ?? [])]) {
    find(name)?.conflicts(others.filter(other => find(other) !== undefined))
  }
  command.hook('preAction', () => {
    for (const [name, needed] of Object.entries(NEEDS)) {
      const [option, other] = [find(name), find(needed)]
      if (option === undefined || other === undefined) continue
      if (command.getOptionValue(name) === undefined || command.getOptionValue(needed) !== undefined) continue
      throw new UsageError(`${option.long} needs ${other.long}`)
    }
  })
}
