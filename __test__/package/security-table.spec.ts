// What SECURITY.md promises has its tests, and they are where it says.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(__dirname, '../..')
const text = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8')

test('every file that it names is there', () => {
  const names = [...text.matchAll(/`((?:__test__|tests|src|fuzz|docs)\/[\w./-]+)`/g)].map(([, name]) => name!)
  expect(names.length).toBeGreaterThan(20)
  expect(names.filter(name => !existsSync(join(ROOT, name)))).toEqual([])
})

test('every row of who can do what to whom names a test', () => {
  const table = text.slice(text.indexOf('## Who can do what to whom'), text.indexOf('## What is up to you'))
  const rows = table.split('\n').filter(line => /^\| (?!who|---)/.test(line))
  expect(rows.length).toBeGreaterThan(8)
  expect(rows.filter(row => !/`[^`]*(test|fuzz|src\/)[^`]*`[^|]*\|$/.test(row))).toEqual([])
})
