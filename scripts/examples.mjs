// Runs examples/*.mjs. What each must print stands in it, as comments after a line `// prints:`.
import { readdirSync, readFileSync } from 'node:fs'
import { programs } from './util/programs.mjs'

export const examples = () =>
  programs(
    readdirSync('examples')
      .filter(name => name.endsWith('.mjs'))
      .sort()
      .map(name => ({ name: `examples/${name}`, args: [`examples/${name}`], expected: expected(name) })),
  )

function expected(name) {
  const [, comment] = readFileSync(`examples/${name}`, 'utf8').split('// prints:\n')
  if (comment === undefined) throw Error(`examples/${name} does not say what it prints`)
  return comment.trimEnd().replace(/^\/\/ ?/gm, '')
}
