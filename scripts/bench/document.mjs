// The generated page of figures: docs/benchmarks.md.
import { readFileSync, writeFileSync } from 'node:fs'

const file = new URL('../../docs/benchmarks.md', import.meta.url)

const COMMANDS = {
  benchmark: 'bench',
  profile: 'profile',
  nats: 'bench -- --work nats',
  net: 'bench -- --work net',
  packets: 'bench -- --work packets',
  sockety: 'bench -- --work sockety',
}

/** Replaces what stands between the markers of a command, which is a key of `COMMANDS`. */
export function updateSection(section, text) {
  const [begin, end] = [`<!-- npm run ${updating(COMMANDS[section])} -->`, `<!-- end of the ${section} -->`]
  const page = readFileSync(file, 'utf8')
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw Error(`docs/benchmarks.md has lost its markers: ${begin} … ${end}`)
  writeFileSync(file, `${page.slice(0, from)}${begin}\n\n${text}\n\n${page.slice(to)}`)
}

function updating(command) {
  return command.includes(' -- ') ? `${command} --update` : `${command} -- --update`
}
