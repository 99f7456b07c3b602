// What is not tested on NATS and over gateways is in the guide, or here, with its reason, and nothing else is.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const TESTS = join(__dirname, '..')

/** Suites that choose ways to plug in by themselves, and do without NATS or gateways, and why. */
const CHOSEN: Readonly<Record<string, string>> = {
  'broker/system-service.spec.ts': 'a service of a broker',
  'browser/interop.spec.ts': 'a page comes to a broker, never to NATS; a bad network is one to it',
  'browser/reasons.spec.ts': 'the same',
  'browser/requests.spec.ts': 'the same',
  'browser/rooms.spec.ts': 'the same',
  'browser/waits.spec.ts': 'the same',
  'socket/answers.spec.ts': 'a bound of the reader',
  'socket/connects.spec.ts': 'a broker counts messages, and which of them it takes',
  'socket/defects.spec.ts': "strangers at the port of Conat's protocol",
  'socket/held.spec.ts': 'memory of the reader',
  'socket/misspelt-options.spec.ts': 'what JavaScript is given, before anything is sent',
  'socket/presence.spec.ts': 'a broker tells of ends; socket/probes.spec.ts is the same on NATS',
  'telemetry/metrics.spec.ts': 'metrics of a broker',
}

interface Spec {
  readonly file: string
  readonly text: string
}

const specs: readonly Spec[] = readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.spec.ts'))
  .map(file => ({ file, text: readFileSync(join(TESTS, file), 'utf8') }))
  .filter(({ text }) => text.includes("support/fabrics'"))

/** Rows of the table in the guide for the tests that are left out by the ways that support/fabrics.ts has for that. */
function leftOut(): string[] {
  return specs
    .flatMap(({ text }) => {
      const rows = (method: string, where: string) => {
        const direct = [...text.matchAll(new RegExp(`\\.${method}\\(\\s*'([^']*)'`, 'g'))]
        // A suite that gives it a name of its own.
        const own = new RegExp(`const (\\w+) = .*\\.${method}\\n`).exec(text)?.[1]
        const named = own ? [...text.matchAll(new RegExp(`^ *${own}\\(\\s*'([^']*)'`, 'gm'))] : []
        return [...direct, ...named].map(([, name]) => `| ${name} | ${where} |`)
      }
      return [...rows('testAtOneBroker', 'no | at one'), ...rows('testExceptAtGateways', 'yes | no')]
    })
    .sort()
}

test('the guide lists every test that is left out on NATS or at gateways, and why', () => {
  const guide = readFileSync(join(TESTS, '../docs/guide/nats.md'), 'utf8')
  const head = '| test | on NATS | at gateways | why |\n| --- | --- | --- | --- |\n'
  const table = guide.split(head)[1]!
  const rows = table.slice(0, table.indexOf('\n\n')).split('\n')
  expect(leftOut()).toEqual(rows.map(row => /^(.* \|) [^|]+ \|$/.exec(row)?.[1]).sort())
})

test('a suite that chooses its ways to plug in takes NATS and gateways, or has a reason', () => {
  const choosing = specs.filter(({ text }) => {
    const lists = [...text.matchAll(/\[[^\][]*'(?:in-process|conat wire|selvedge wire)'[^\][]*\]/g)].map(
      ([all]) => all,
    )
    const isPartial = (list: string) => !list.includes("'nats'") || !list.includes("'gateways'")
    const hasList = /describeFabric\((?:\s*)kind,/.test(text) && lists.some(isPartial)
    return hasList || /describeFabric\(\s*'/.test(text)
  })
  expect(choosing.map(({ file }) => file).sort()).toEqual(Object.keys(CHOSEN))
})
