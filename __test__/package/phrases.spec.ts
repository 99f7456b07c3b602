// The phrases that CONTRIBUTING.md lists are not in what users read.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(__dirname, '../..')
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
const folder = (name: string, ending: string): string[] =>
  readdirSync(join(ROOT, name))
    .filter(file => file.endsWith(ending))
    .map(file => `${name}/${file}`)

const FILES = [
  'README.md',
  'SECURITY.md',
  'index.d.ts',
  ...folder('types', '.d.ts'),
  ...folder('docs/guide', '.md'),
  ...folder('docs/reference', '.md'),
]

/** The right column of the table. */
function phrases(): string[] {
  const [, section] = /### Phrases\n([\s\S]*?)\n## /.exec(read('CONTRIBUTING.md'))!
  const rows = [...section!.matchAll(/^\| .* \| (`.*`) \|$/gm)].map(([, cell]) => cell!)
  return rows.flatMap(cell => [...cell.matchAll(/`([^`]+)`/g)].map(([, phrase]) => phrase!))
}

test('the table has phrases', () => {
  expect(phrases().length).toBeGreaterThan(20)
})

test.each(FILES)('%s has none of them', file => {
  // A phrase may go over the end of a line, of a comment too.
  const text = read(file).replace(/\n[ \t]*(?:\*(?!\/))?\s*/g, ' ')
  const found = phrases().filter(phrase => new RegExp(`\\b${phrase}\\b`, 'i').test(text))
  expect(found).toEqual([])
})
