// Every bad situation of NATS has a test, and the page that lists them names tests that exist.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(__dirname, '../..')
const SITUATIONS = 25

test('each bad situation of NATS has a test that exists', () => {
  const page = readFileSync(join(ROOT, 'docs/internals/nats-situations.md'), 'utf8')
  const rows = [...page.matchAll(/^\| (\d+) \| .* \| `([\w/.-]+\.spec\.ts)`: (.+) \|$/gm)]
  expect(rows).toHaveLength(page.split('\n').filter(line => /^\| \d/.test(line)).length)
  const missing = rows.filter(([, , file, name]) => {
    const text = readFileSync(join(ROOT, file!), 'utf8')
    return ![`'${name}'`, `"${name}"`, `\`${name}\``].some(quoted => text.includes(quoted))
  })
  expect(missing.map(([row]) => row)).toEqual([])
  const numbers = new Set(rows.map(([, number]) => Number(number)))
  expect([...numbers]).toEqual(Array.from({ length: SITUATIONS }, (_, n) => n + 1))
})
