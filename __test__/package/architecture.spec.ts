// The page on architecture names files that exist: a file that moves takes its rows along.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(__dirname, '../..')

/** Files and folders that a page names in code spans. */
function namedIn(page: string): string[] {
  const text = readFileSync(join(root, page), 'utf8').replace(/^```[\s\S]*?^```/gm, '')
  const spans = [...text.matchAll(/`([^`\n]+)`/g)].map(match => match[1] as string)
  return spans.filter(span => /^[\w.-]+\/[\w./-]*$/.test(span) && /(\/|\.(rs|ts|mjs|md|json))$/.test(span))
}

/** Most are named below `src/`, as Rust does. */
const exists = (path: string) => ['', 'src', 'lib'].some(folder => existsSync(join(root, folder, path)))

test.each(['docs/ARCHITECTURE.md', 'docs/internals/systems.md'])('%s names only files that exist', page => {
  const named = namedIn(page)
  expect(named.length).toBeGreaterThan(10)
  expect(named.filter(path => !exists(path) && !path.includes('NAME'))).toEqual([])
})

test('a file that is not there is seen', () => {
  expect([exists('broker/router.rs'), exists('broker/no_such.rs')]).toEqual([true, false])
})
