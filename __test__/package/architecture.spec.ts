// The page on architecture names files that exist: a file that moves takes its rows along. And it names all that lies at the
// top level of the tree, so that nothing gets there by mistake.
import { spawnSync } from 'node:child_process'
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

/** What lies at the top level, by this list of all files; folders end with `/`. */
const topLevel = (files: readonly string[]): string[] => [
  ...new Set(files.map(file => file.replace(/\/.*/, '/'))),
]

/** Files and folders of the top level that the page's blocks name: in a block of folders at the beginning of a line. */
function namedAtTop(page: string): string[] {
  const blocks = [...page.matchAll(/^```\n([\s\S]*?)^```/gm)].slice(0, 2).map(match => match[1] as string)
  const folders = blocks[0]!.split('\n').map(line => line.split(/ {2,}/)[0]!)
  const names = [...folders, ...blocks[1]!.split('\n')].flatMap(line => line.split(', '))
  return names.filter(name => name !== '').map(name => name.replace(/\/.*/, '/'))
}

const listed = namedAtTop(readFileSync(join(root, 'docs/ARCHITECTURE.md'), 'utf8'))
const strangersIn = (files: readonly string[]) => topLevel(files).filter(name => !listed.includes(name))
const git = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 })
/** Nothing where this is no working tree of git, or the tree lies in somebody else's. */
const tracked = git.status === 0 ? git.stdout.split('\0').filter(file => file !== '') : []
const inGit = tracked.includes('docs/ARCHITECTURE.md') ? test : test.skip

inGit('all that git knows at the top level is on the page, and nothing else is', () => {
  expect(strangersIn(tracked)).toEqual([])
  expect(listed.filter(name => !topLevel(tracked).includes(name))).toEqual([])
})

test('a file or a folder that got there by mistake is seen', () => {
  expect(strangersIn(['Cargo.toml', 'src/lib.rs', 'pids', 'out/run.log', 'lib/pids'])).toEqual([
    'pids',
    'out/',
  ])
})
