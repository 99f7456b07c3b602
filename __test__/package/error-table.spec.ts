// One table of codes: the rows of docs/reference/errors.md are `ErrorCode` of the contract, and both are what the sources can
// produce. The engine's part is src/base/code.rs; no other file of it has a code as a text (tests/layering).
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { subpaths } from '../../scripts/util/subpaths.cjs'

const ROOT = join(__dirname, '../..')
/** No errors: the query that starts a connection of Engine.IO, and a state of netstat. */
const NO_CODES = new Set(['EIO', 'ESTABLISHED'])

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

const page = readFileSync(join(ROOT, 'docs/reference/errors.md'), 'utf8')
const rows = [...page.matchAll(/^\| `([A-Z_0-9]+)` \| (.*) \| (.*) \|$/gm)].map(([, code, when, next]) => ({
  code: code!,
  when: when!,
  next: next!,
}))

test('every code has one row, and every row its code', () => {
  const listed = rows.map(({ code }) => code)
  expect(new Set(listed).size).toBe(listed.length)
  expect(listed.sort()).toEqual([...codes()].sort())
})

test('the contract lists the codes of the rows', () => {
  const [, union] = /export type ErrorCode =\n((?: {2}\| .*\n)+)/.exec(
    readFileSync(join(ROOT, 'index.d.ts'), 'utf8'),
  )!
  const members = [...union!.matchAll(/\| '?([A-Z_0-9]+)'?\n/g)].map(([, code]) => code!)
  expect(members.sort()).toEqual(rows.map(({ code }) => code).sort())
})

test.each(rows)('the row of $code says when it comes and what to do next', ({ when, next }) => {
  expect(when.length).toBeGreaterThan(10)
  expect(next.length).toBeGreaterThan(5)
})

test.each(subpaths)('every code that $contract names has its row', ({ contract }) => {
  const named = readFileSync(join(ROOT, contract), 'utf8').matchAll(/"(E[A-Z]+|(?:ERR|ABORT)_[A-Z_]+)"/g)
  for (const [, code] of named) expect(page).toContain(`| \`${code}\` |`)
})
