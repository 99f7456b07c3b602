// docs/reference/errors.md has one row for each code that the sources can produce, and none for others.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { subpaths } from '../../scripts/util/subpaths.cjs'

const ROOT = join(__dirname, '../..')
/** No errors of ours: the query that starts a connection of Engine.IO. */
const NO_CODES = new Set(['EIO'])

function files(folder: string, extension: string): string[] {
  const all = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
  return all
    .filter(name => name.endsWith(extension) && !/tests?\b/.test(name))
    .map(name => join(ROOT, folder, name))
}

/** Quoted words like `ERR_ENCODE` or `EPIPE`, and the numbers that an error is made with. */
function codes(): Set<string> {
  const found = new Set<string>()
  for (const file of [...files('lib', '.ts'), ...files('src', '.rs')]) {
    const [code] = readFileSync(file, 'utf8').split('#[cfg(test)]')
    for (const [, word] of code!.matchAll(/['"](E[A-Z]+|(?:ERR|ABORT)_[A-Z_]+)['"]/g)) found.add(word!)
    for (const [, number] of code!.matchAll(/(?:['"]|, |Some\()([45]\d\d)['")]/g)) found.add(number!)
  }
  const table = readFileSync(join(ROOT, 'src/base/code.rs'), 'utf8')
  for (const [, number] of table.matchAll(/ = (\d+),/g)) found.add(number!)
  return new Set([...found].filter(code => !NO_CODES.has(code)))
}

test('every code has its row, and every row its code', () => {
  const text = readFileSync(join(ROOT, 'docs/reference/errors.md'), 'utf8')
  const rows = [...text.matchAll(/^\| `([A-Z_0-9]+)` \|/gm)].map(([, code]) => code!)
  expect(new Set(rows).size).toBe(rows.length)
  expect(rows.sort()).toEqual([...codes()].sort())
})

test.each(subpaths)('every code that $contract names has its row', ({ contract }) => {
  const text = readFileSync(join(ROOT, 'docs/reference/errors.md'), 'utf8')
  const named = readFileSync(join(ROOT, contract), 'utf8').matchAll(/"(E[A-Z]+|(?:ERR|ABORT)_[A-Z_]+)"/g)
  for (const [, code] of named) expect(text).toContain(`| \`${code}\` |`)
})
