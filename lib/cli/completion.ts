// selvedge completion: what a shell needs to complete subcommands and options, made from the commands themselves.
import { Argument, type Command } from 'commander'
import { examples } from './command'

const SHELLS = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof SHELLS)[number]

export function completion(program: Command): void {
  const command = program
    .command('completion')
    .summary('print a completion script for a shell')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .action((shell: Shell) => {
      process.stdout.write(SCRIPTS[shell](program))
    })
  examples(command, 'selvedge completion bash')
}

const SCRIPTS: Record<Shell, (program: Command) => string> = {
  bash: program => `_selvedge() {
  local word="\${COMP_WORDS[COMP_CWORD]}" words
  case "\${COMP_WORDS[1]}" in
${program.commands.map(command => `    ${command.name()}) words='${optionsOf(command).join(' ')}' ;;`).join('\n')}
    *) words='${namesOf(program).join(' ')}' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -f -- "$word"))
}
complete -F _selvedge selvedge
`,
  zsh: program => `#compdef selvedge
_selvedge() {
  if (( CURRENT == 2 )); then
    compadd ${namesOf(program).join(' ')}
    return
  fi
  case "\${words[2]}" in
${program.commands.map(command => `    ${command.name()}) compadd -- ${optionsOf(command).join(' ')} ;;`).join('\n')}
  esac
  _files
}
compdef _selvedge selvedge
`,
  fish: program =>
    program.commands
      .flatMap(command => [
        `complete -c selvedge -n __fish_use_subcommand -a ${command.name()} -d '${command.summary().replaceAll("'", '')}'`,
        ...command.options.map(
          option =>
            `complete -c selvedge -n '__fish_seen_subcommand_from ${command.name()}' ${flagsOf(option.short, option.long)}`,
        ),
      ])
      .map(line => `${line}\n`)
      .join(''),
}

function flagsOf(short: string | null | undefined, long: string | null | undefined): string {
  return [short == null ? '' : `-s ${short.slice(1)}`, long == null ? '' : `-l ${long.slice(2)}`]
    .join(' ')
    .trim()
}

function namesOf(program: Command): string[] {
  return program.commands.map(command => command.name())
}

function optionsOf(command: Command): string[] {
  return command.options.flatMap(({ short, long }) => [short, long].filter(name => name != null))
}
