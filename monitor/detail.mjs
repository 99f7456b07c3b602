// One connection or one subject, followed live beside the lists.
import { act, ask, NoAnswer } from './api.mjs'
import { Chart } from './charts.mjs'
import { EVENT_COLUMNS, PATTERN_COLUMNS, SOCKET_COLUMNS, WIRES, wellFormed } from './tabs.mjs'
import { age, amount, bytes, fill, make, named, pressButton, sureButton } from './text.mjs'

const INTERVAL = 2000
const MAX_SAMPLES = 300
/** There is little room beside the lists. */
const WANTED_OF_SOCKETS = ['Subject', 'Socket', 'State', 'Client waits', 'Server waits']

export class Detail {
  constructor(element, onFailure) {
    this.element = element
    this.onFailure = onFailure
    this.asked = 0
    /** Whether the broker lets the monitor change something. */
    this.mayAct = false
  }

  /** Shows what `kind` (`connection`, `subject`) and name say; `undefined`: nothing. */
  open(kind, name) {
    if (this.kind === kind && this.name === name) return
    Object.assign(this, { kind, name, samples: [], before: undefined, chart: undefined, parts: undefined })
    this.asked += 1
    document.body.classList.toggle('with-detail', kind !== undefined)
    this.element.hidden = kind === undefined
    if (kind === undefined) return
    const title = make('h2', { tabindex: '-1' })
    fill(title, name)
    const copied = make(
      'button',
      { type: 'button', class: 'quiet', onclick: () => this.copy(copied) },
      'Copy name',
    )
    this.content = make('div', { class: 'detail-content' }, make('p', { class: 'said' }, 'Asking …'))
    this.element.replaceChildren(
      make(
        'header',
        {},
        make('small', {}, kind === 'connection' ? 'Connection' : 'Subject'),
        make('div', { class: 'tools' }, copied, make('a', { class: 'button', href: '#/' }, 'Close')),
      ),
      make('div', { class: 'detail-title' }, title),
      this.content,
    )
    title.focus({ preventScroll: true })
    void this.refresh()
  }

  async copy(button) {
    try {
      await navigator.clipboard.writeText(this.name)
      button.textContent = 'Copied'
    } catch {
      button.textContent = 'Not allowed'
    }
  }

  /** Asks again, unless it has asked a moment ago. */
  async refresh() {
    const { kind, name, asked } = this
    if (kind === undefined || this.isAsking) return
    this.isAsking = true
    try {
      const answer = kind === 'connection' ? await ask('connection', { id: name }) : await subject(name)
      if (asked === this.asked) this.draw(answer)
    } catch (error) {
      if (asked === this.asked && error instanceof NoAnswer && error.kind === 'odd')
        this.content.replaceChildren(make('p', { class: 'error' }, error.message))
      else this.onFailure(error)
    } finally {
      this.isAsking = false
      if (asked !== this.asked) void this.refresh()
    }
  }

  draw(answer) {
    if (this.kind === 'connection') this.drawConnection(answer)
    else this.drawSubject(answer)
  }

  drawConnection({ connection, sockets, events }) {
    const recent = section('Events', EVENT_COLUMNS.slice(0, 3), events.reverse())
    if (connection === null) {
      const gone = make('p', { class: 'banner' }, 'It is not connected any more.')
      this.content.replaceChildren(gone, recent)
      this.parts = undefined
      return
    }
    this.chart ??= new Chart(
      'Messages a second',
      [
        ['in', 1],
        ['out', 2],
      ],
      amount,
    )
    this.sample(connection)
    const waits = connection.outbox === 0 ? '0' : bytes(connection.outbox)
    const { above, below } = this.places()
    above.replaceChildren(
      facts([
        ['User', connection.user === 'null' ? 'anonymous' : connection.user],
        ['Address', connection.address || 'this process, or a Unix socket'],
        ['Protocol', WIRES[connection.wire] ?? 'other'],
        ['Connected for', age(connection.age)],
        ['Published', `${amount(connection.msgsIn)} messages, ${bytes(connection.bytesIn)}`],
        ['Received', `${amount(connection.msgsOut)} messages, ${bytes(connection.bytesOut)}`],
        ['Waiting to be read', waits],
      ]),
    )
    below.replaceChildren(
      this.chart.element,
      section(
        `Subscriptions (${amount(connection.subscriptions)})`,
        [
          { head: 'Pattern', cell: row => PATTERN_COLUMNS[0].cell(row) },
          { head: 'Queue group', cell: row => row.queue },
        ],
        connection.patterns.slice(0, 200),
        connection.patterns.length,
      ),
      section(
        'Sockets as client',
        SOCKET_COLUMNS.filter(({ head }) => WANTED_OF_SOCKETS.includes(head)),
        sockets,
      ),
      recent,
    )
  }

  /** What is drawn again with each look stands around what can be done, which stays: no press and no focus is lost. */
  places() {
    if (this.parts === undefined) {
      const [above, below] = [make('div', { class: 'detail-part' }), make('div', { class: 'detail-part' })]
      this.parts = { above, below }
      this.content.replaceChildren(above, ...(this.mayAct ? [this.actions()] : []), below)
    }
    return this.parts
  }

  /** What can be done to a connection. */
  actions() {
    const { name } = this
    return make(
      'div',
      { class: 'tools' },
      sureButton('Disconnect', 'Disconnect: sure?', button => this.act(button, 'disconnect', name)),
      pressButton('Ask again what it may do', button => this.act(button, 'revalidate', name)),
    )
  }

  async act(button, action, id) {
    button.disabled = true
    try {
      await act(action, { ids: [id] })
      void this.refresh()
    } catch (error) {
      this.onFailure(error)
    } finally {
      button.disabled = false
    }
  }

  sample({ msgsIn, msgsOut }) {
    const now = performance.now()
    if (this.before !== undefined && now - this.before.now > INTERVAL / 4) {
      const seconds = (now - this.before.now) / 1000
      const rate = (value, before) => Math.max(0, value - before) / seconds
      this.samples.push([Date.now(), rate(msgsIn, this.before.msgsIn), rate(msgsOut, this.before.msgsOut)])
      if (this.samples.length > MAX_SAMPLES) this.samples.shift()
    }
    this.before = { now, msgsIn, msgsOut }
    this.chart.draw(this.samples)
  }

  drawSubject({ patterns, sockets }) {
    this.content.replaceChildren(
      make(
        'p',
        { class: 'said' },
        patterns.matching === 0
          ? 'Nobody here gets what is published to it.'
          : `What is published to it reaches ${amount(patterns.matching)} ${patterns.matching === 1 ? 'pattern' : 'patterns'}.`,
      ),
      section('Subscribed patterns', PATTERN_COLUMNS, patterns.rows, patterns.matching),
      section(
        'Sockets',
        SOCKET_COLUMNS.filter(({ head }) => head !== 'Subject' && WANTED_OF_SOCKETS.includes(head)),
        sockets.rows,
        sockets.matching,
      ),
    )
  }
}

/** A subject can also be a pattern itself: then it is found by its name. */
async function subject(name) {
  const isPattern = /(^|\.)(\*|>)(\.|$)/.test(name)
  const [patterns, sockets] = await Promise.all([
    ask('subjects', { limit: 100, [isPattern ? 'filter' : 'match']: wellFormed(name) }),
    ask('sockets', { limit: 100, subject: wellFormed(name) }),
  ])
  return { patterns, sockets }
}

function facts(pairs) {
  const items = pairs.map(([head, text]) =>
    make('div', {}, make('dt', {}, head), make('dd', {}, named(text, 220))),
  )
  return make('dl', { class: 'facts' }, ...items)
}

function section(title, columns, rows, all = rows.length) {
  const content = cell => (typeof cell === 'string' ? cell : cell.make())
  const body = rows.map(row =>
    make('tr', {}, ...columns.map(column => make('td', {}, content(column.cell(row))))),
  )
  const heads = columns.map(({ head }) => make('th', { scope: 'col' }, head))
  const table = make('table', {}, make('thead', {}, make('tr', {}, ...heads)), make('tbody', {}, ...body))
  const more =
    all > rows.length ? [make('p', { class: 'said' }, `and ${amount(all - rows.length)} more`)] : []
  const empty = make('p', { class: 'said' }, 'none')
  return make('section', { class: 'part' }, make('h3', {}, title), rows.length === 0 ? empty : table, ...more)
}
