// What is not tested on NATS and over gateways is in the guide, with its reason, and nothing else is.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const TESTS = join(__dirname, '..')

/** Names of tests and suites that are left out by one of the ways that support/fabrics.ts has for that. */
function leftOut(): string[] {
  const files = readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
  const names = files
    .filter(file => file.endsWith('.spec.ts'))
    .flatMap(file => {
      const text = readFileSync(join(TESTS, file), 'utf8')
      const direct = [...text.matchAll(/(?:\.testExceptOnNats|ExceptGateways)\(\s*'([^']*)'/g)]
      // A suite that chooses by itself: by its own name.
      const chosen = [
        ...text.matchAll(/describeFabrics\('([^']*)', fabric => \{\n.*: fabric\.testExceptOnNats\n/g),
      ]
      return [...direct, ...chosen].map(([, name]) => name!)
    })
  return names.sort()
}

test('the guide lists every test that is left out on NATS, and why', () => {
  const guide = readFileSync(join(TESTS, '../docs/guide/nats.md'), 'utf8')
  const [, table] = guide.split('| left out on NATS and at gateways | why |\n| --- | --- |\n') as [
    string,
    string,
  ]
  const rows = table.slice(0, table.indexOf('\n\n')).split('\n')
  const listed = rows.map(row => /^\| (.*) \| (.+) \|$/.exec(row)?.[1])
  expect(leftOut()).toEqual(listed.sort())
})
