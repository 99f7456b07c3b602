// The lists: what each has in its columns, and what is asked for it.
import { ask } from './api.mjs'
import { age, amount, bytes, clock, make, named, shortened } from './text.mjs'

/** A name that leads somewhere. It is drawn again only when it is another one. */
const link = (text, place, most) => ({
  key: text,
  make: () => make('a', { href: `#/${place}/${encodeURIComponent(wellFormed(text))}` }, named(text, most)),
})
const name = (text, most) => ({
  key: text,
  make: () => (text === '' ? make('span', { class: 'none' }, '–') : named(text, most)),
})

/** Lone surrogates cannot stand in an address. */
export function wellFormed(text) {
  return text.toWellFormed?.() ?? text.replace(/[\ud800-\udfff]/g, '\ufffd')
}

/** A user by its name, if it has nothing else to it; else its JSON. */
export function userName(text) {
  if (text === 'null') return ''
  try {
    const user = JSON.parse(text)
    const isPlain = Object.keys(user).every(member => ['name', 'roles'].includes(member))
    return isPlain && typeof user.name === 'string' ? user.name : text
  } catch {
    // It is cut.
    return text
  }
}

/** What there is, and how fast it grows. */
const growing = (member, format) => (row, before, seconds) => {
  const grown = before === undefined || seconds === 0 ? 0 : (row[member] - before[member]) / seconds
  const rate = grown > 0 ? `${format(grown)}/s` : ''
  return {
    key: `${row[member]} ${rate}`,
    make: () => make('span', {}, format(row[member]), make('small', { class: 'rate' }, rate)),
  }
}

export const WIRES = {
  selvedge: 'selvedge',
  websocket: 'WebSocket',
  conat: 'Conat',
  inprocess: 'in process',
}

/** What happened, and whether it is bad. */
export const EVENTS = {
  connect: ['connected', 'good'],
  disconnect: ['disconnected', ''],
  slow_consumer: ['slow consumer', 'bad'],
  refused: ['refused', 'bad'],
  sign_in_failed: ['sign-in failed', 'bad'],
  subscribe_refused: ['subscribe refused', 'bad'],
  publish_refused: ['publish refused', 'bad'],
  drain: ['draining', 'warn'],
  action: ['by the monitor', 'warn'],
}

export function badge(kind) {
  const [text, look] = Object.hasOwn(EVENTS, kind) ? EVENTS[kind] : [shortened(kind, 30), '']
  return { key: kind, make: () => make('span', { class: `badge ${look}` }, text) }
}

export const EVENT_COLUMNS = [
  { head: 'Time', cell: row => clock(row.time) },
  { head: 'What', cell: row => badge(row.kind) },
  { head: 'Why', isExtra: true, cell: row => name(row.code, 40) },
  { head: 'Connection', cell: row => (row.id === '' ? name('') : link(row.id, 'connection', 18)) },
  { head: 'User, subject or text', isExtra: true, cell: row => name(row.text, 90) },
]

/** What an end does not tell is not 0. */
const told = value => (Number.isFinite(value) ? amount(value) : '–')

/** What an end has written and the other has not acknowledged. */
function unacknowledged(end) {
  if (!Number.isFinite(end?.pending)) return '–'
  return end.pending === 0 ? '0' : `${amount(end.pending)} · ${bytes(end.pendingBytes)}`
}

const STATES = { connecting: 'warn', ready: 'good', disconnected: 'bad' }

/** Of the client's end; of the server's where that alone tells. */
function socketState({ client, server }) {
  const state = client?.state ?? server?.state
  if (!Object.hasOwn(STATES, String(state))) return '–'
  return { key: state, make: () => make('span', { class: `badge ${STATES[state]}` }, state) }
}

export const SOCKET_COLUMNS = [
  { head: 'Subject', cell: row => link(row.subject, 'subject', 48) },
  { head: 'Socket', cell: row => name(row.id, 18) },
  { head: 'Connection', isExtra: true, cell: row => link(row.connection, 'connection', 18) },
  { head: 'State', cell: row => socketState(row) },
  { head: 'Sent', isNumber: true, isExtra: true, cell: row => told(row.client?.sent) },
  { head: 'Received', isNumber: true, isExtra: true, cell: row => told(row.client?.received) },
  { head: 'Client waits', isNumber: true, isWide: true, cell: row => unacknowledged(row.client) },
  { head: 'Server waits', isNumber: true, isWide: true, cell: row => unacknowledged(row.server) },
  {
    head: 'Server',
    isExtra: true,
    cell: row => (row.server === null ? name('') : link(row.server.connection, 'connection', 18)),
  },
  { head: 'Listeners', isNumber: true, isExtra: true, cell: row => amount(row.listeners) },
]

export const PATTERN_COLUMNS = [
  { head: 'Pattern', cell: row => link(row.pattern, 'subject', 80) },
  { head: 'Subscriptions', isNumber: true, cell: row => amount(row.subscriptions) },
  { head: 'Queue groups', isExtra: true, cell: row => name(row.queues.join(', '), 60) },
]

export const TABS = {
  connections: {
    title: 'Connections',
    hint: 'id, user or address',
    sort: { by: 'msgsIn', order: 'desc' },
    key: row => row.id,
    columns: [
      { head: 'Connection', sort: 'id', cell: row => link(row.id, 'connection', 18) },
      { head: 'User', sort: 'user', cell: row => name(userName(row.user), 40) },
      { head: 'Address', sort: 'address', isExtra: true, cell: row => name(row.address, 40) },
      { head: 'Protocol', sort: 'wire', isExtra: true, cell: row => WIRES[row.wire] ?? 'other' },
      { head: 'Age', sort: 'since', isNumber: true, isExtra: true, cell: row => age(row.age) },
      {
        head: 'Subs',
        sort: 'subscriptions',
        isNumber: true,
        isExtra: true,
        cell: row => amount(row.subscriptions),
      },
      { head: 'Msgs in', sort: 'msgsIn', isNumber: true, cell: growing('msgsIn', amount) },
      { head: 'Msgs out', sort: 'msgsOut', isNumber: true, isWide: true, cell: growing('msgsOut', amount) },
      { head: 'Bytes in', sort: 'bytesIn', isNumber: true, isExtra: true, cell: growing('bytesIn', bytes) },
      {
        head: 'Bytes out',
        sort: 'bytesOut',
        isNumber: true,
        isExtra: true,
        cell: growing('bytesOut', bytes),
      },
      {
        head: 'Waiting',
        sort: 'outbox',
        isNumber: true,
        isWide: true,
        cell: row => (row.outbox === 0 ? '0' : bytes(row.outbox)),
      },
    ],
    load: (offset, limit, { filter, sort }) =>
      ask('connections', { offset, limit, filter, sort: sort.by, order: sort.order }),
  },
  subjects: {
    title: 'Subjects',
    hint: 'part of a pattern, or match:SUBJECT',
    key: row => row.pattern,
    columns: PATTERN_COLUMNS,
    load: (offset, limit, { filter }) => {
      const [, match] = /^match:\s*(.+)$/.exec(filter) ?? []
      return ask('subjects', match === undefined ? { offset, limit, filter } : { offset, limit, match })
    },
  },
  sockets: {
    title: 'Sockets',
    hint: 'subject, socket or connection',
    key: row => `${row.subject} ${row.id} ${row.connection}`,
    columns: SOCKET_COLUMNS,
    load: (offset, limit, { filter }) => ask('sockets', { offset, limit, filter }),
  },
  events: {
    title: 'Events',
    hint: 'anything in an event',
    key: row => row.number,
    columns: EVENT_COLUMNS,
    /** All of them fit into one answer: the newest first, cut here. */
    load: async (offset, limit, { filter }) => {
      const { events } = await ask('events')
      const wanted = events
        .reverse()
        .filter(event => Object.values(event).some(value => String(value).includes(filter)))
      return { total: events.length, matching: wanted.length, rows: wanted.slice(offset, offset + limit) }
    },
  },
}
