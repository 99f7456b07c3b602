// selvedge doctor: looks at everything between a program and its broker, and says what to do about what is wrong.
import type { Command } from 'commander'
import { connecting, examples } from './command'
import { addressOf, type CommonOptions } from './connection'
import { FABRIC_CHECKS } from './doctor-fabric'
import type { Finding, Surroundings } from './doctor-findings'
import { NETWORK_CHECKS } from './doctor-network'
import { CommandError, EXIT } from './failure'
import { escapedLine, Terminal } from './terminal'

interface Options extends CommonOptions {
  subject?: string
}

export function doctor(program: Command): void {
  const command = connecting(program.command('doctor'))
    .summary('find out what is wrong with a setup')
    .description(
      'Checks Node.js, the address, the network, TLS, the sign-in and the broker, in that order. With --quiet it prints only what is not ok.',
    )
    .option('--subject <subject>', 'check the permissions for it, too')
    .option('--system-password-file <file>', 'password of the system account: check limits, too')
    .action(run)
  examples(command, 'selvedge doctor', 'selvedge doctor --subject orders.new --json')
}

async function run(options: Options): Promise<void> {
  const terminal = new Terminal(options)
  const { address } = addressOf(options)
  const around: Surroundings = { options, address, closing: [] }
  let failed = 0
  let stop = false
  try {
    for (const { name, needs, look } of [...NETWORK_CHECKS, ...FABRIC_CHECKS]) {
      if (stop && needs !== 'nothing') continue
      const findings = await look(around).catch((error: Error): Finding[] => [
        { level: 'FAIL', text: error.message, todo: 'this check itself failed; run with -vv' },
      ])
      for (const finding of findings) {
        if (finding.level === 'FAIL') failed += 1
        if (options.quiet !== true || finding.level !== 'ok') await tell(terminal, name, finding, options)
      }
      if (findings.some(({ level, ends }) => level === 'FAIL' && ends !== false)) stop = true
    }
  } finally {
    await Promise.all(around.closing.map(close => close()))
  }
  if (failed > 0) {
    const text = failed === 1 ? '1 thing is wrong' : `${failed} things are wrong`
    throw new CommandError(Error(text), { exit: EXIT.unhealthy })
  }
}

async function tell(terminal: Terminal, name: string, { level, text, todo }: Finding, { json }: Options) {
  if (json === true)
    return terminal.json({ check: name, level, text, ...(todo === undefined ? {} : { todo }) })
  const advice = todo === undefined ? '' : `  → ${todo}`
  return terminal.line(escapedLine(`${level.padEnd(4)}  ${name.padEnd(11)} ${text}${advice}`))
}
