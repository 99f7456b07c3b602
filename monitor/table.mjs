// A long list of which only what can be seen is asked for and drawn. A row keeps its place while a pointer is on the list.
import { make } from './text.mjs'

/** Of a row, in CSS pixels; the same as in style.css. */
const ROW = 38
const AHEAD = 20
const MAX_ROWS = 100

export class LongTable {
  /**
   * `columns`: `{ head, sort?, isNumber?, isExtra?, isWide?, cell(row, before, seconds) }`, where `cell` returns an element or a text;
   * on a small screen there is no column that `isExtra`, on a phone none that `isWide`.
   * `load(offset, limit)` resolves with `{ total, matching, rows }`.
   */
  constructor({ label, columns, key, load, sort, onSort, onFound, onFailure }) {
    Object.assign(this, { columns, key, load, onFound, onFailure })
    this.rows = []
    this.shown = new Map()
    this.offset = 0
    this.matching = 0
    this.isLoading = false
    this.isStale = false
    this.heads = columns.map(column => this.head(column, onSort))
    this.body = make('tbody')
    this.above = make('tr', { class: 'gap', 'aria-hidden': 'true' }, make('td', { colspan: columns.length }))
    this.below = make('tr', { class: 'gap', 'aria-hidden': 'true' }, make('td', { colspan: columns.length }))
    this.table = make(
      'table',
      { class: 'long', 'aria-label': label },
      make('thead', {}, make('tr', {}, ...this.heads)),
      this.body,
    )
    this.element = make(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label },
      this.table,
    )
    this.element.addEventListener('scroll', () => this.handleScroll(), { passive: true })
    this.body.addEventListener('pointerenter', () => {
      this.isPointed = true
    })
    this.body.addEventListener('pointerleave', () => {
      this.isPointed = false
    })
    this.setSort(sort)
  }

  head(column, onSort) {
    const inner = column.sort
      ? make('button', { type: 'button', onclick: () => onSort(column.sort) }, column.head)
      : make('span', {}, column.head)
    return make('th', { scope: 'col', class: classOf(column) }, inner)
  }

  /** `{ by, order }`, of what is sorted already. */
  setSort(sort) {
    for (const [index, column] of this.columns.entries()) {
      const isBy = sort !== undefined && column.sort === sort.by
      if (isBy) this.heads[index].setAttribute('aria-sort', sort.order === 'asc' ? 'ascending' : 'descending')
      else this.heads[index].removeAttribute('aria-sort')
    }
    this.forget()
  }

  /** The list is another one now. */
  forget() {
    this.isStale = true
    this.element.scrollTop = 0
  }

  window() {
    const visible = Math.ceil(this.element.clientHeight / ROW) || 20
    const first = Math.floor(this.element.scrollTop / ROW)
    const offset = Math.max(0, first - AHEAD)
    return { offset, limit: Math.min(MAX_ROWS, visible + 2 * AHEAD), first, visible }
  }

  handleScroll() {
    const { first, visible } = this.window()
    const last = Math.min(this.matching, first + visible)
    if (first < this.offset || last > this.offset + this.rows.length) void this.refresh(true)
  }

  /** Asks for what can be seen; again, if that has become something else meanwhile. */
  async refresh(isMoved = false) {
    if (this.isLoading) {
      this.isStale ||= isMoved
      return
    }
    this.isLoading = true
    try {
      do {
        const isNew = this.isStale || isMoved
        this.isStale = false
        const { offset, limit } = this.window()
        const found = await this.load(offset, limit)
        if (this.isStale) continue
        this.take(found, offset, isNew)
      } while (this.isStale)
    } catch (error) {
      this.onFailure(error)
    } finally {
      this.isLoading = false
    }
  }

  take({ total, matching, rows }, offset, isNew) {
    const now = performance.now()
    const seconds = this.at === undefined ? 0 : (now - this.at) / 1000
    this.at = now
    if (this.isPointed && !isNew && offset === this.offset) {
      // Numbers change, rows do not move.
      const found = new Map(rows.map(row => [this.key(row), row]))
      this.rows = this.rows.map(row => found.get(this.key(row)) ?? row)
    } else this.rows = rows
    this.offset = offset
    this.matching = matching
    this.onFound({ total, matching })
    this.draw(seconds)
  }

  draw(seconds) {
    const next = new Map()
    const elements = this.rows.map(row => {
      const key = this.key(row)
      const known = this.shown.get(key)
      const drawn = known ?? { element: make('tr'), texts: [], before: undefined }
      if (known === undefined)
        drawn.element.append(...this.columns.map(column => make('td', { class: classOf(column) })))
      for (const [index, column] of this.columns.entries()) {
        const content = column.cell(row, drawn.before, seconds)
        const text = typeof content === 'string' ? content : content.key
        if (drawn.texts[index] === text) continue
        drawn.texts[index] = text
        drawn.element.children[index].replaceChildren(typeof content === 'string' ? content : content.make())
      }
      drawn.before = row
      next.set(key, drawn)
      return drawn.element
    })
    this.shown = next
    const gap = (element, rows) =>
      element.firstChild.style.setProperty('height', `${Math.max(0, rows) * ROW}px`)
    gap(this.above, this.offset)
    gap(this.below, this.matching - this.offset - this.rows.length)
    const wanted = [this.above, ...elements, this.below]
    const isSame =
      this.body.children.length === wanted.length &&
      wanted.every((element, index) => this.body.children[index] === element)
    if (!isSame) this.body.replaceChildren(...wanted)
  }
}

function classOf({ isNumber, isExtra, isWide }) {
  return [isNumber ? 'number' : '', isExtra ? 'extra' : '', isWide ? 'wide' : ''].filter(Boolean).join(' ')
}
