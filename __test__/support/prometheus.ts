// A strict reader of Prometheus' text format 0.0.4 and of OpenMetrics 1.0: what is not in their grammar throws.

export interface ParsedFamily {
  name: string
  help: string
  type: string
  unit?: string
  samples: { name: string; labels: Record<string, string>; value: number }[]
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/
const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|[+-]Inf|NaN)$/
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
}

/** The families in their order; throws with the line that is wrong. */
export function parseMetrics(text: string, { openMetrics = false } = {}): ParsedFamily[] {
  if (!text.endsWith('\n')) throw Error('the last line does not end')
  const lines = text.slice(0, -1).split('\n')
  if (openMetrics && lines.pop() !== '# EOF') throw Error('no # EOF at the end')
  const families = new Map<string, ParsedFamily>()
  const seen = new Set<string>()
  let current: ParsedFamily | undefined
  for (const [index, line] of lines.entries()) {
    const fail = (what: string): never => {
      throw Error(`line ${index + 1}: ${what}: ${line}`)
    }
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE|UNIT) (\S+) (.*)$/.exec(line) ?? []
    if (keyword === 'HELP') {
      if (!NAME.test(name)) fail('no name')
      if (families.has(name)) fail('a family comes twice')
      current = { name, help: unescaped(rest, openMetrics ? '\\n"' : '\\n', fail), type: '', samples: [] }
      families.set(name, current)
    } else if (keyword !== undefined) {
      if (current?.name !== name || current.samples.length > 0) fail('not behind its HELP')
      if (keyword === 'UNIT' && !openMetrics) fail('there is no UNIT in 0.0.4')
      if (keyword === 'UNIT') {
        if (!name.endsWith(`_${rest}`)) fail('the name does not end with the unit')
        current!.unit = rest
      } else {
        if (!(rest in SUFFIXES)) fail('unknown type')
        current!.type = rest
      }
    } else {
      const [, sample = '', labelText = '', number = ''] =
        /^([^\s{]+)(\{.*\})? (\S+)$/.exec(line) ?? fail('no sample')
      if (current === undefined || current.type === '') return fail('a sample without its TYPE')
      if (!NUMBER.test(number)) fail('no number')
      const base = openMetrics && current.type === 'counter' ? `${current.name}_total` : current.name
      if (!SUFFIXES[current.type]!.some(suffix => sample === base + suffix)) fail('of another family')
      const labels = labelsOf(labelText, fail)
      const key = `${sample}${JSON.stringify(Object.entries(labels).sort())}`
      if (seen.has(key)) fail('a sample comes twice')
      seen.add(key)
      const value = Number(number.replace('Inf', 'Infinity'))
      if (current.type === 'counter' && !(value >= 0)) fail('a counter below 0')
      current.samples.push({ name: sample, labels, value })
    }
  }
  for (const family of families.values()) {
    if (family.samples.length === 0) throw Error(`${family.name} has no samples`)
    if (family.type === 'histogram') checkHistogram(family)
  }
  return [...families.values()]
}

function labelsOf(text: string, fail: (what: string) => never): Record<string, string> {
  const labels: Record<string, string> = {}
  if (text === '') return labels
  let rest = text.slice(1, -1)
  while (rest !== '') {
    const [whole, name = '', value = ''] =
      /^([^=]+)="((?:[^"\\\n]|\\.)*)"(?:,(?=.)|$)/.exec(rest) ?? fail('bad labels')
    if (!LABEL.test(name) || name.startsWith('__')) fail(`label ${name}`)
    if (name in labels) fail(`label ${name} comes twice`)
    labels[name] = unescaped(value, '\\n"', fail)
    rest = rest.slice(whole.length)
  }
  return labels
}

function unescaped(text: string, allowed: string, fail: (what: string) => never): string {
  return text.replace(/\\(.?)/g, (_, character: string) => {
    if (character === '' || !allowed.includes(character)) fail(`unknown escape \\${character}`)
    return character === 'n' ? '\n' : character
  })
}

function checkHistogram({ name, samples }: ParsedFamily): void {
  const groups = new Map<string, ParsedFamily['samples']>()
  for (const sample of samples) {
    const { le: _, ...rest } = sample.labels
    const key = JSON.stringify(rest)
    groups.set(key, [...(groups.get(key) ?? []), sample])
  }
  for (const group of groups.values()) {
    const buckets = group.filter(sample => sample.name === `${name}_bucket`)
    const bounds = buckets.map(({ labels }) => Number(labels.le!.replace('Inf', 'Infinity')))
    const counts = buckets.map(({ value }) => value)
    const rises = (list: number[]) => list.every((value, at) => at === 0 || list[at - 1]! <= value)
    if (!rises(bounds) || !rises(counts)) throw Error(`${name}: buckets do not rise`)
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY) throw Error(`${name}: no +Inf`)
    const sampleOf = (suffix: string) => group.find(sample => sample.name === name + suffix)?.value
    if (sampleOf('_count') !== counts.at(-1)) throw Error(`${name}: _count is not that of +Inf`)
    if (sampleOf('_sum') === undefined) throw Error(`${name}: no _sum`)
  }
}
