// Families of metrics in the making: samples are added up by their labels.
import type { MetricFamily } from '../../index'
import { DEFINITIONS, definitionOf, type MetricName } from './definitions'
import type { Histogram } from './histogram'

export type Labels = Record<string, string>
type Sample = MetricFamily['samples'][number]

export class Families {
  readonly #families = new Map<MetricName, Map<string, Sample>>()

  /** Adds to the sample with these labels. */
  add(name: MetricName, value: number, labels: Labels = {}): this {
    const { labels: known } = definitionOf(name)
    const checked: Labels = {}
    for (const [label, text] of Object.entries(labels)) {
      const values = known?.[label]
      checked[label] = values == null || values.includes(text) ? text : 'other'
    }
    this.#put(name, { labels: checked, value })
    return this
  }

  /** Adds a counter of each value of one label. */
  addEach(name: MetricName, label: string, values: Readonly<Record<string, number>>, labels?: Labels): this {
    for (const [value, count] of Object.entries(values)) this.add(name, count, { ...labels, [label]: value })
    return this
  }

  addHistogram(name: MetricName, histogram: Histogram, labels: Labels = {}): this {
    for (const sample of histogram.samples()) {
      this.#put(name, { ...sample, labels: { ...labels, ...sample.labels } })
    }
    return this
  }

  /** Adds what another object has told. */
  merge(families: readonly MetricFamily[], isWanted: (family: MetricFamily) => boolean = () => true): this {
    for (const family of families) {
      if (isWanted(family)) for (const sample of family.samples) this.#put(family.name as MetricName, sample)
    }
    return this
  }

  /** In the order of the definitions. */
  list(): MetricFamily[] {
    const names = (Object.keys(DEFINITIONS) as MetricName[]).filter(name => this.#families.has(name))
    return names.map(name => {
      const { help, type, unit } = definitionOf(name)
      const samples = [...this.#families.get(name)!.values()].map(sample => ({ ...sample }))
      return { name, help, type, ...(unit === undefined ? {} : { unit }), samples }
    })
  }

  #put(name: MetricName, sample: Sample): void {
    let family = this.#families.get(name)
    if (family === undefined) {
      family = new Map()
      this.#families.set(name, family)
    }
    const key = `${sample.suffix ?? ''} ${JSON.stringify(sample.labels)}`
    const known = family.get(key)
    if (known === undefined) family.set(key, { ...sample })
    else known.value = MERGERS[definitionOf(name).merge ?? 'sum'](known.value, sample.value)
  }
}

const MERGERS = {
  sum: (a: number, b: number): number => a + b,
  min: (a: number, b: number): number => Math.min(a, b),
  max: (a: number, b: number): number => Math.max(a, b),
} as const
