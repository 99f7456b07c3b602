// The page: asks once a second how the broker is, every two seconds for the list that is open, and only while it is seen.
import { act, ask, NoAnswer, signIn, signOut } from './api.mjs'
import { Chart } from './charts.mjs'
import { Detail } from './detail.mjs'
import { LongTable } from './table.mjs'
import { TABS } from './tabs.mjs'
import { age, amount, bytes, clock, fill, make } from './text.mjs'

const [SECOND, LIST_INTERVAL] = [1000, 2000]
const MAX_SAMPLES = 86_400
const THEME_NAMES = { system: 'Auto', light: 'Light', dark: 'Dark' }
const THEMES = Object.keys(THEME_NAMES)
const at = id => document.getElementById(id)

const charts = [
  new Chart(
    'Messages a second',
    [
      ['in', 1],
      ['out', 2],
    ],
    amount,
  ),
  new Chart(
    'Bytes a second',
    [
      ['in', 3],
      ['out', 4],
    ],
    bytes,
  ),
  new Chart('Connections', [['connections', 5]], amount),
]
at('charts').append(...charts.map(chart => chart.element))

const state = {
  tab: 'connections',
  filters: {},
  sorts: Object.fromEntries(Object.entries(TABS).map(([name, { sort }]) => [name, sort])),
  isPaused: false,
  samples: [],
  seenAt: undefined,
  hasPassword: false,
}
const detail = new Detail(at('detail'), handleFailure)
let list

// Themes

function storage(action) {
  // Forbidden in some browsers: then a choice lasts as long as the page.
  try {
    return action(localStorage)
  } catch {
    return undefined
  }
}

function setTheme(theme) {
  state.theme = THEMES.includes(theme) ? theme : 'system'
  document.documentElement.dataset.theme = state.theme
  at('theme').textContent = THEME_NAMES[state.theme]
  storage(store => store.setItem('selvedge-theme', state.theme))
}

setTheme(storage(store => store.getItem('selvedge-theme')))
at('theme').addEventListener('click', () =>
  setTheme(THEMES[(THEMES.indexOf(state.theme) + 1) % THEMES.length]),
)

// Signing in

at('signin').addEventListener('submit', async event => {
  event.preventDefault()
  const field = at('password')
  const wrong = await signIn(field.value).catch(() => 'The broker does not answer.')
  at('wrong').textContent = wrong ?? ''
  field.value = ''
  if (wrong !== undefined) return field.focus()
  state.hasPassword = true
  at('signin').hidden = true
  void tick()
})

at('signout').addEventListener('click', async () => {
  await signOut().catch(() => {})
  location.reload()
})

// It closes the broker: asked for twice.
const DRAIN = { ask: 'Drain', sure: 'Drain and close: sure?' }
at('drain').addEventListener('click', () => {
  const isSure = at('drain').textContent === DRAIN.sure
  at('drain').textContent = isSure ? DRAIN.ask : DRAIN.sure
  if (isSure) act('drain').catch(handleFailure)
})
at('drain').addEventListener('blur', () => {
  at('drain').textContent = DRAIN.ask
})

function showSignIn() {
  state.hasPassword = true
  at('content').hidden = true
  at('signin').hidden = false
  setState('signed out', 'warn')
  at('password').focus()
}

// What the broker says of itself

function setState(text, look) {
  const pill = at('state')
  // It is read aloud when it changes, so it must not change each second.
  if (pill.textContent !== text) pill.textContent = text
  pill.className = `pill ${look}`
}

function handleFailure(error) {
  if (!(error instanceof NoAnswer)) throw error
  if (error.kind === 'sign-in') return showSignIn()
  const since = state.seenAt === undefined ? '' : ` These are the numbers as of ${clock(state.seenAt)}.`
  at('banner').textContent = `${error.message[0].toUpperCase()}${error.message.slice(1)}.${since}`
  at('banner').hidden = false
  at('content').hidden = false
  document.body.classList.add('stale')
  setState('no answer', 'bad')
}

function handleOverview(overview) {
  state.seenAt = Date.now()
  at('content').hidden = false
  at('signin').hidden = true
  at('banner').hidden = true
  at('signout').hidden = !state.hasPassword
  at('drain').hidden = !overview.actions || overview.draining
  detail.mayAct = overview.actions
  document.body.classList.remove('stale')
  setState(overview.draining ? 'draining' : 'live', overview.draining ? 'warn' : 'good')
  const { id, name, version, started, now } = overview
  fill(at('name'), name === 'default' ? `broker ${id}` : `${name} / ${id}`)
  const up = started === null ? '' : ` · up ${age(now - started)}`
  at('about').textContent = `selvedge ${version}${up}`
  document.title = `${overview.totals.connections} connections · selvedge`
  takeSamples(overview.history)
  drawNumbers(overview)
  drawFoot(overview)
}

function takeSamples(history) {
  const fresh = history.filter(sample => sample.length >= 7)
  state.samples.push(...fresh)
  // A broker that has started again begins its history anew, and its clock may have been set back.
  const last = state.samples.at(-1)?.[0] ?? 0
  state.samples = state.samples.filter(([time]) => time > last - 600_000 && time <= last).slice(-MAX_SAMPLES)
  for (const chart of charts) chart.draw(state.samples)
}

function drawNumbers({ totals, rates, lastMinute }) {
  const { now } = rates
  const bad = lastMinute.slowConsumers + lastMinute.refusals
  const numbers = [
    ['Connections', amount(totals.connections), `${amount(totals.subscriptions)} subscriptions`],
    ['Messages in', `${amount(now.msgsIn)}/s`, `${amount(totals.published.messages)} in all`],
    ['Messages out', `${amount(now.msgsOut)}/s`, `${amount(totals.delivered.messages)} in all`],
    ['Bytes', `${bytes(now.bytesIn)}/s`, `out ${bytes(now.bytesOut)}/s`],
    ['Waiting', bytes(totals.outbox.bytes), `${amount(totals.outbox.messages)} to be read`],
    [
      'Slow or refused',
      bad === 0 ? 'none' : amount(bad),
      `${amount(lastMinute.slowConsumers)} slow · ${amount(lastMinute.refusals)} refused in a minute`,
      bad > 0,
    ],
  ]
  const box = at('numbers')
  if (box.childElementCount !== numbers.length) {
    const item = ([head]) =>
      make('div', { class: 'card' }, make('dt', {}, head), make('dd'), make('dd', { class: 'more' }))
    box.replaceChildren(...numbers.map(item))
  }
  for (const [index, [, value, more, isBad]] of numbers.entries()) {
    const [, first, second] = box.children[index].children
    first.textContent = value
    second.textContent = more
    box.children[index].classList.toggle('bad', isBad === true)
  }
}

function drawFoot({ totals, limits, counts, address }) {
  const used = (part, whole) => `${whole === 0 ? 0 : Math.round((part / whole) * 100)} %`
  const connections = `${amount(totals.connections)} of ${amount(limits.maxConnections)} connections (${used(totals.connections, limits.maxConnections)})`
  const memory = `${bytes(totals.memoryBytes)} of ${bytes(limits.maxMemoryBytes)} memory (${used(totals.memoryBytes, limits.maxMemoryBytes)})`
  const closed = Object.entries(counts.closed).filter(([, count]) => count > 0)
  const ends = closed.map(([reason, count]) => `${reason.replaceAll('_', ' ')} ${amount(count)}`).join(', ')
  const parts = [
    connections,
    memory,
    ends === '' ? '' : `ended: ${ends}`,
    typeof address === 'string' ? address : '',
  ]
  const text = parts.filter(Boolean).join(' · ')
  if (at('foot').textContent !== text) at('foot').textContent = text
}

// Lists

function openTab(name) {
  state.tab = name
  const tab = TABS[name]
  for (const link of at('tabs').children) {
    if (link.dataset.tab === name) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  const search = at('search')
  search.placeholder = tab.hint
  search.value = state.filters[name] ?? ''
  list = new LongTable({
    label: tab.title,
    columns: tab.columns,
    key: tab.key,
    sort: state.sorts[name],
    load: (offset, limit) =>
      tab.load(offset, limit, { filter: state.filters[name] ?? '', sort: state.sorts[name] }),
    onSort: by => sortBy(by),
    onFound: ({ total, matching }) => {
      const isSome = matching !== total
      at('count').textContent = isSome ? `${matching} of ${total}` : `${total} ${tab.title.toLowerCase()}`
    },
    onFailure: error => {
      if (error instanceof NoAnswer && error.kind === 'odd') at('count').textContent = error.message
      else handleFailure(error)
    },
  })
  at('count').textContent = ''
  at('list').replaceChildren(list.element)
  void list.refresh()
}

function sortBy(by) {
  const { by: before, order } = state.sorts[state.tab] ?? {}
  const isNamed = ['since', 'id', 'user', 'address', 'wire'].includes(by)
  const first = isNamed ? 'asc' : 'desc'
  state.sorts[state.tab] = {
    by,
    order: before === by && order === first ? (isNamed ? 'desc' : 'asc') : first,
  }
  list.setSort(state.sorts[state.tab])
  void list.refresh()
}

at('tabs').append(
  ...Object.entries(TABS).map(([name, { title }]) =>
    make('a', { href: `#/${name}`, 'data-tab': name }, title),
  ),
)

let typing
at('search').addEventListener('input', () => {
  clearTimeout(typing)
  typing = setTimeout(() => {
    state.filters[state.tab] = at('search').value.trim()
    list.forget()
    void list.refresh()
  }, 150)
})

document.addEventListener('keydown', event => {
  const isTyping = event.target instanceof HTMLInputElement
  if (event.key === '/' && !isTyping) {
    event.preventDefault()
    at('search').focus()
  } else if (event.key === 'Escape' && !isTyping && !at('detail').hidden) location.hash = '#/'
})

// Where one is

function route() {
  const [, kind = '', name] = /^#\/([a-z]*)(?:\/(.*))?$/s.exec(location.hash) ?? []
  if (['connection', 'subject'].includes(kind) && name !== undefined) {
    let decoded = name
    try {
      decoded = decodeURIComponent(name)
    } catch {
      // Not an address of ours: it is a name as it stands.
    }
    if (list === undefined) openTab(kind === 'subject' ? 'subjects' : state.tab)
    detail.open(kind, decoded)
    return
  }
  detail.open(undefined)
  if (Object.hasOwn(TABS, kind) && (kind !== state.tab || list === undefined)) openTab(kind)
  else if (list === undefined) openTab(state.tab)
}

addEventListener('hashchange', route)

at('pause').addEventListener('click', () => {
  state.isPaused = !state.isPaused
  at('pause').setAttribute('aria-pressed', String(state.isPaused))
  at('pause').textContent = state.isPaused ? 'Go on' : 'Pause'
  if (!state.isPaused) void tick()
})

// Time

let [isAsking, listedAt] = [false, 0]

async function tick() {
  if (isAsking || state.isPaused || document.hidden || !at('signin').hidden) return
  isAsking = true
  try {
    const since = state.samples.at(-1)?.[0] ?? 0
    handleOverview(await ask('overview', { since }))
    if (list === undefined) route()
    else if (performance.now() - listedAt >= LIST_INTERVAL - SECOND / 2) {
      listedAt = performance.now()
      await Promise.all([list.refresh(), detail.refresh()])
    }
  } catch (error) {
    handleFailure(error)
  } finally {
    isAsking = false
  }
}

setInterval(() => void tick(), SECOND)
document.addEventListener('visibilitychange', () => void tick())
void tick()
