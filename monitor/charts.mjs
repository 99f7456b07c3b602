// Two lines over time, drawn as SVG: its colours are those of the page, in both schemes.
import { clock, make } from './text.mjs'

const SVG = 'http://www.w3.org/2000/svg'
const [WIDTH, HEIGHT] = [600, 150]
const TABLE_ROWS = 30

function shape(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  return element
}

export class Chart {
  /** `series` are pairs of a name and the place of its number in a sample; `format` makes text of a number. */
  constructor(title, series, format) {
    this.series = series
    this.format = format
    this.samples = []
    this.at = undefined
    this.svg = shape('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' })
    for (const part of [1, 2]) {
      const y = (HEIGHT * part) / 3
      this.svg.append(shape('line', { class: 'grid', x1: 0, x2: WIDTH, y1: y, y2: y }))
    }
    this.paths = series.map((_, index) => ({
      area: shape('path', { class: `area s${index}` }),
      line: shape('path', { class: `line s${index}` }),
    }))
    for (const { area } of this.paths) this.svg.append(area)
    for (const { line } of this.paths) this.svg.append(line)
    this.cross = shape('line', { class: 'cross', y1: 0, y2: HEIGHT, visibility: 'hidden' })
    this.svg.append(this.cross)
    this.top = make('span', { class: 'scale' })
    this.tip = make('div', { class: 'tip', hidden: true })
    this.plot = make('div', { class: 'plot' }, this.svg, this.top, this.tip)
    this.said = make('p', { class: 'said' })
    this.table = make('div', { class: 'numbers-table', hidden: true })
    this.switch = make(
      'button',
      { type: 'button', class: 'quiet', 'aria-pressed': 'false', onclick: () => this.toggle() },
      'As table',
    )
    const legend = series.map(([name], index) => make('span', { class: `key s${index}` }, name))
    this.element = make(
      'figure',
      { class: 'card chart' },
      make(
        'figcaption',
        {},
        make('strong', {}, title),
        make('span', { class: 'keys' }, ...legend),
        this.switch,
      ),
      this.plot,
      this.table,
      this.said,
    )
    this.plot.addEventListener('pointermove', event => this.point(event))
    this.plot.addEventListener('pointerleave', () => this.point(undefined))
  }

  toggle() {
    const isTable = this.table.hidden
    this.table.hidden = !isTable
    this.plot.hidden = isTable
    this.switch.setAttribute('aria-pressed', String(isTable))
    this.draw(this.samples)
  }

  draw(samples) {
    this.samples = samples
    const most = Math.max(1, ...this.series.flatMap(([, at]) => samples.map(sample => sample[at])))
    this.top.textContent = this.format(most)
    const [first, last] = [samples[0]?.[0] ?? 0, samples.at(-1)?.[0] ?? 1]
    // A young broker's line grows from the left, a minute wide at first.
    const span = Math.max(60_000, last - first)
    const x = time => ((time - first) / span) * WIDTH
    const y = value => HEIGHT - 2 - (value / most) * (HEIGHT - 12)
    for (const [index, [, at]] of this.series.entries()) {
      const points = samples.map(sample => `${x(sample[0]).toFixed(1)} ${y(sample[at]).toFixed(1)}`)
      const line = points.length === 0 ? '' : `M${points.join('L')}`
      this.paths[index].line.setAttribute('d', line)
      const ends = `L${x(last).toFixed(1)} ${HEIGHT}L0 ${HEIGHT}Z`
      this.paths[index].area.setAttribute('d', line === '' ? '' : line + ends)
    }
    this.span = span
    this.say(samples)
    if (!this.table.hidden) this.drawTable()
    if (this.at !== undefined) this.show()
  }

  say(samples) {
    const parts = this.series.map(([name, at]) => {
      const values = samples.map(sample => sample[at])
      if (values.length === 0) return `${name}: nothing yet`
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length
      const [now, most] = [values.at(-1), Math.max(...values)]
      return `${name}: now ${this.format(now)}, mean ${this.format(mean)}, most ${this.format(most)}`
    })
    this.said.textContent = parts.join(' · ')
    this.svg.setAttribute('aria-label', this.said.textContent)
  }

  drawTable() {
    const head = ['Time', ...this.series.map(([name]) => name)]
    const step = Math.max(1, Math.ceil(this.samples.length / TABLE_ROWS))
    const rows = this.samples.filter((_, index) => (this.samples.length - 1 - index) % step === 0).reverse()
    const cells = rows.map(sample => [
      clock(sample[0]),
      ...this.series.map(([, at]) => this.format(sample[at])),
    ])
    this.table.replaceChildren(
      make(
        'table',
        {},
        make('thead', {}, make('tr', {}, ...head.map(text => make('th', { scope: 'col' }, text)))),
        make('tbody', {}, ...cells.map(row => make('tr', {}, ...row.map(text => make('td', {}, text))))),
      ),
    )
  }

  /** Follows the pointer. */
  point(event) {
    if (event === undefined || this.samples.length === 0) {
      this.at = undefined
      this.tip.hidden = true
      this.cross.setAttribute('visibility', 'hidden')
      return
    }
    const { left, width } = this.plot.getBoundingClientRect()
    this.at = Math.min(1, Math.max(0, (event.clientX - left) / width))
    this.show()
  }

  show() {
    const first = this.samples[0][0]
    const wanted = first + this.at * this.span
    const sample = this.samples.reduce((best, each) =>
      Math.abs(each[0] - wanted) < Math.abs(best[0] - wanted) ? each : best,
    )
    const place = (sample[0] - first) / this.span
    this.cross.setAttribute('x1', place * WIDTH)
    this.cross.setAttribute('x2', place * WIDTH)
    this.cross.setAttribute('visibility', 'visible')
    const lines = this.series.map(([name, at]) => `${name} ${this.format(sample[at])}`)
    this.tip.textContent = [clock(sample[0]), ...lines].join('\n')
    this.tip.hidden = false
    this.tip.classList.toggle('left', place > 0.6)
    this.tip.style.setProperty('inset-inline-start', `${place * 100}%`)
  }
}
