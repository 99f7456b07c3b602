// Families as text: Prometheus' format 0.0.4, or OpenMetrics 1.0.
import type { MetricFamily } from '../../index'
import { checkOptions, isBoolean } from '../values/option-checks'

const FORMAT_SHAPE = { openMetrics: isBoolean }

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'
export const OPEN_METRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

export function formatMetrics(
  families: readonly MetricFamily[],
  options: { openMetrics?: boolean } = {},
): string {
  checkOptions('formatMetrics', options, FORMAT_SHAPE)
  const isOpen = options.openMetrics === true
  const texts = families.map(family => familyText(family, isOpen))
  return isOpen ? `${texts.join('')}# EOF\n` : texts.join('')
}

function familyText({ name, help, type, unit, samples }: MetricFamily, isOpen: boolean): string {
  // OpenMetrics names a counter without the ending that its samples have.
  const family = isOpen && type === 'counter' ? name.replace(/_total$/, '') : name
  const lines = [`# HELP ${family} ${isOpen ? quoted(help) : escaped(help)}`, `# TYPE ${family} ${type}`]
  if (isOpen && unit !== undefined) lines.push(`# UNIT ${family} ${unit}`)
  for (const { suffix = '', labels, value } of samples) {
    lines.push(`${name}${suffix}${labelsText(labels)} ${numberText(value)}`)
  }
  return `${lines.join('\n')}\n`
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${quoted(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  return String(value)
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function quoted(text: string): string {
  return escaped(text).replaceAll('"', '\\"')
}
