// The text of metrics: a strict reader takes it, with the names and labels that Prometheus wants.
import {
  type Client,
  type ConatServer,
  formatMetrics,
  init,
  type MetricFamily,
  processMetrics,
} from 'selvedge'
import { parseMetrics } from '../support/prometheus'

const { DEFINITIONS } = require('../../dist/telemetry/definitions.js') as {
  DEFINITIONS: Record<string, { type: string; unit?: string; labels?: Record<string, string[] | null> }>
}

describe('the text', () => {
  let broker: ConatServer
  let client: Client

  beforeAll(async () => {
    broker = init({ port: 0 })
    client = broker.client()
    await client.publish('a', 1)
    await client.request('nobody').catch(() => {})
  })
  afterAll(async () => {
    await client.close()
    await broker.close()
  })

  test.each([false, true])(
    'is what a strict reader takes, OpenMetrics: %s, and says what the objects do',
    openMetrics => {
      for (const families of [broker.metrics(), client.metrics(), processMetrics()]) {
        const parsed = parseMetrics(formatMetrics(families, { openMetrics }), { openMetrics })
        const isCounter = (type: string) => openMetrics && type === 'counter'
        expect(parsed).toEqual(
          families.map(({ name, help, type, unit, samples }) => ({
            name: isCounter(type) ? name.replace(/_total$/, '') : name,
            help,
            type,
            ...(openMetrics && unit !== undefined ? { unit } : {}),
            samples: samples.map(({ suffix = '', labels, value: number }) => ({
              name: name + suffix,
              labels,
              value: number,
            })),
          })),
        )
      }
    },
  )

  test('has names by the conventions, and labels of closed sets', () => {
    for (const { name, type, unit, samples } of processMetrics()) {
      expect(name).toMatch(/^selvedge_[a-z]+(_[a-z]+)*$/)
      expect({ name, isTotal: name.endsWith('_total') }).toEqual({ name, isTotal: type === 'counter' })
      const base = name.replace(/_total$/, '')
      const [, ending] = /_(seconds|bytes)$/.exec(base) ?? []
      expect({ name, unit: ending }).toEqual({ name, unit })
      for (const { labels } of samples) {
        for (const [label, text] of Object.entries(labels)) {
          if (label === 'le') continue
          const values = DEFINITIONS[name]!.labels![label]
          if (values !== null) expect([...values!, 'other']).toContain(text)
        }
      }
    }
  })

  test('escapes what would end a line or a text', () => {
    const families: MetricFamily[] = [
      {
        name: 'a_b',
        help: 'one \\ two\nthree "four"',
        type: 'gauge',
        samples: [{ labels: { l: 'x"\\\ny' }, value: -1.5e-9 }],
      },
    ]
    for (const openMetrics of [false, true]) {
      const [parsed] = parseMetrics(formatMetrics(families, { openMetrics }), { openMetrics })
      expect(parsed).toMatchObject({
        help: families[0]!.help,
        samples: [{ labels: { l: 'x"\\\ny' }, value: -1.5e-9 }],
      })
    }
  })
})

test('the reader is strict', () => {
  const wrong = [
    'a 1',
    '# HELP a b\n# TYPE a counter\na_total 1\n',
    '# HELP a b\n# TYPE a gauge\na 1\na 2\n',
    '# HELP a b\n# TYPE a gauge\na{l="x" 1\n',
    '# HELP a b\n# TYPE a gauge\na{l="\\x"} 1\n',
    '# HELP a b\n# TYPE a gauge\na one\n',
    '# HELP a b\n# TYPE a gauge\n',
    '# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
    '# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n',
  ]
  for (const text of wrong) expect(() => parseMetrics(text)).toThrow()
  expect(() => parseMetrics('# HELP a b\n# TYPE a gauge\na 1\n', { openMetrics: true })).toThrow(/EOF/)
})
