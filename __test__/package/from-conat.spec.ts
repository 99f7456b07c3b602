// docs/guide/from-conat.md names a test for each of the twenty defects: it must be there, by that name.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(__dirname, '../..')
const page = readFileSync(join(ROOT, 'docs/guide/from-conat.md'), 'utf8')
const rows = [...page.matchAll(/^\| (\d+) \|.*$/gm)].map(([row, number]) => ({ row, number: Number(number) }))

test('has a row for each defect', () => {
  expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
})

test.each(rows)('row $number is shown by tests that exist', ({ row }) => {
  const named = [...row.matchAll(/`([\w./-]+\.(?:ts|rs)): ([^`]+)`/g)]
  expect(named.length).toBeGreaterThan(0)
  for (const [, file, name] of named) {
    const source = readFileSync(join(ROOT, file!), 'utf8')
    const isTest = file!.endsWith('.rs') ? `fn ${name}(` : `'${name}'`
    expect(source.includes(isTest) ? name : `no test '${name}' in ${file}`).toBe(name)
  }
})
