// The page, the dashboard and the rules name metrics that exist, and the page has all of them.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(__dirname, '../..')
const { DEFINITIONS } = require('../../dist/telemetry/definitions.js') as {
  DEFINITIONS: Record<
    string,
    { type: string; help: string; labels?: Record<string, string[] | null>; buckets?: number[] }
  >
}
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

test('docs/reference/metrics.md has every metric, with its type, labels and help', () => {
  const rows = [...read('docs/reference/metrics.md').matchAll(/^\| `(\w+)` \| (\w+) \| (.*) \| (.*) \|$/gm)]
  const told = rows.map(([, name, type, labels, help]) => [`selvedge_${name}`, type, labels, help])
  const wanted = Object.entries(DEFINITIONS).map(([name, { type, labels, help, buckets }]) => [
    name,
    type,
    Object.entries(labels ?? {})
      .map(([label, values]) =>
        [`\`${label}\``, ...(values === null ? [] : [values.map(v => `\`${v}\``).join(' ')])].join(': '),
      )
      .join('; '),
    buckets === undefined ? help : `${help} (${buckets.join(' ')})`,
  ])
  expect(told.sort()).toEqual(wanted.sort())
})

/** Metrics that an expression asks for; a histogram by the names of its samples. */
function named(expression: string): string[] {
  const names = expression.match(/\bselvedge_\w+/g) ?? []
  return names.map(name => (name in DEFINITIONS ? name : name.replace(/_(bucket|sum|count)$/, '')))
}

/** The labels by which it groups. */
function groupedBy(expression: string): string[] {
  return [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(/,\s*/))
}

const panels = (
  JSON.parse(read('dashboards/selvedge.json')) as { panels: { title: string; targets: { expr: string }[] }[] }
).panels
const rules = [
  ...read('alerts/selvedge.yml').matchAll(
    /- alert: (\w+)\n {8}expr: (?:>-\n)?([\s\S]*?)\n {8}(?:for|labels):/g,
  ),
]
const expressions: [string, string][] = [
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }): [string, string] => [title, expr])),
  ...rules.map(([, name, expr]): [string, string] => [name!, expr!]),
]

test.each(expressions)('%s asks for what there is: %s', (_title, expression) => {
  const names = named(expression)
  expect(names.length).toBeGreaterThan(0)
  for (const name of names) expect(Object.keys(DEFINITIONS)).toContain(name)
  const labels = new Set([
    'instance',
    'le',
    ...names.flatMap(name => Object.keys(DEFINITIONS[name]?.labels ?? {})),
  ])
  for (const label of groupedBy(expression)) expect([...labels]).toContain(label)
})

/** What the dashboard leaves out, and why. */
const NOT_SHOWN: Readonly<Record<string, string>> = {
  selvedge_broker_start_time_seconds: 'a counter that begins at 0 shows a restart',
  selvedge_broker_outbox_messages: 'it shows the bytes, which have the limit',
}

test('the dashboard shows every metric, or it is said why not', () => {
  const { panels, ...rest } = JSON.parse(read('dashboards/selvedge.json'))
  const shown = new Set(named(JSON.stringify(panels) + JSON.stringify(rest)))
  expect(Object.keys(DEFINITIONS).filter(name => !shown.has(name))).toEqual(Object.keys(NOT_SHOWN))
})

test('no two panels of the dashboard have one place, or one number', () => {
  const { panels } = JSON.parse(read('dashboards/selvedge.json')) as {
    panels: { id: number; gridPos: { x: number; y: number; w: number; h: number } }[]
  }
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, n) => `${x + (n % w)} ${y + Math.floor(n / w)}`),
  )
  expect(new Set(cells).size).toBe(cells.length)
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
})

test('there are rules for what an operator wakes up for', () => {
  expect(rules.map(([, name]) => name)).toEqual([
    'SelvedgeSlowConsumers',
    'SelvedgeRefusals',
    'SelvedgeMemory',
    'SelvedgeConnections',
    'SelvedgeCallbackFailures',
    'SelvedgeNoUpstream',
  ])
})
