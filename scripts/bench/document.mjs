// The generated page of figures: docs/benchmarks.md.
import { readFileSync, writeFileSync } from 'node:fs'

const file = new URL('../../docs/benchmarks.md', import.meta.url)

/** Replaces what stands between the markers of `npm run bench` (`'benchmark'`) or `npm run profile` (`'profile'`). */
export function updateSection(section, text) {
  const command = section === 'benchmark' ? 'bench' : section
  const [begin, end] = [`<!-- npm run ${command} -- --update -->`, `<!-- end of the ${section} -->`]
  const page = readFileSync(file, 'utf8')
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw Error(`docs/benchmarks.md has lost its markers: ${begin} … ${end}`)
  writeFileSync(file, `${page.slice(0, from)}${begin}\n\n${text}\n\n${page.slice(to)}`)
}
