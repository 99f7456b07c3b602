// Asks the broker. What comes back is believed only as far as its shape goes.

const TIMEOUT = 10_000

/** Why there is no answer: `sign-in`, `away` or `odd`. */
export class NoAnswer extends Error {
  constructor(kind, text) {
    super(text)
    this.kind = kind
  }
}

const number = value => typeof value === 'number' && Number.isFinite(value)
const string = value => typeof value === 'string'
const list = item => value => Array.isArray(value) && value.every(item)
const maybe = item => value => value === null || item(value)
const object = shape => value =>
  value !== null &&
  typeof value === 'object' &&
  Object.entries(shape).every(([name, check]) => check(value[name]))
const counts = value => object({})(value) && Object.values(value).every(number)

const volume = object({ messages: number, bytes: number })
const rates = object({ msgsIn: number, msgsOut: number, bytesIn: number, bytesOut: number })
const row = object({
  id: string,
  user: string,
  address: string,
  wire: string,
  age: number,
  subscriptions: number,
  msgsIn: number,
  msgsOut: number,
  bytesIn: number,
  bytesOut: number,
  outbox: number,
})
const pattern = object({ pattern: string, subscriptions: number, queues: list(string) })
const end = {
  state: string,
  sent: number,
  received: number,
  pending: number,
  pendingBytes: number,
  resent: number,
}
const socket = object({
  subject: string,
  id: string,
  connection: string,
  listeners: number,
  client: maybe(object(end)),
  server: maybe(object({ ...end, connection: string })),
})
const event = object({ number, time: number, kind: string, id: string, code: string, text: string })
const page = item => object({ total: number, matching: number, rows: list(item) })

const SHAPES = {
  overview: object({
    id: string,
    name: string,
    version: string,
    now: number,
    started: maybe(number),
    draining: value => typeof value === 'boolean',
    totals: object({
      connections: number,
      subscriptions: number,
      patterns: number,
      memoryBytes: number,
      slowConsumers: number,
      publishesRefused: number,
      connectionsRefused: number,
      outbox: volume,
      published: volume,
      delivered: volume,
    }),
    limits: object({ maxConnections: number, maxMemoryBytes: number }),
    counts: object({ closed: counts, refused: counts, refusedOperations: object({}) }),
    rates: object({ now: rates, minute: rates }),
    actions: value => typeof value === 'boolean',
    lastMinute: object({ slowConsumers: number, refusals: number }),
    history: list(list(number)),
  }),
  connections: page(row),
  connection: object({
    connection: maybe(
      value => row(value) && list(object({ pattern: string, queue: string }))(value.patterns),
    ),
    sockets: list(socket),
    events: list(event),
  }),
  subjects: page(pattern),
  sockets: page(socket),
  events: object({ events: list(event) }),
}

/** Resolves with the answer to a question; rejects with a {@link NoAnswer}. */
export async function ask(method, parameters = {}) {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== '') query.set(name, String(value))
  }
  const response = await reach(`/monitor/api/${method}?${query}`)
  let answer
  try {
    answer = await response.json()
  } catch {
    throw new NoAnswer('odd', "the broker's answer was not understood")
  }
  if (!SHAPES[method](answer)) throw new NoAnswer('odd', "the broker's answer was not understood")
  return answer
}

/** Resolves with `undefined`, or with what is wrong. */
export async function signIn(password) {
  const body = new URLSearchParams({ password })
  const response = await fetch('/monitor/login', {
    method: 'POST',
    body,
    signal: AbortSignal.timeout(TIMEOUT),
  })
  if (response.status === 429) return 'Too many wrong passwords: wait a minute.'
  if (response.status === 401) return 'That is not the password.'
  return response.ok ? undefined : `The broker answered ${response.status}.`
}

export async function signOut() {
  await fetch('/monitor/logout', { method: 'POST', signal: AbortSignal.timeout(TIMEOUT) })
}

/** Changes something at the broker; resolves when it has. */
export async function act(action, body = {}) {
  await reach(`/monitor/api/${action}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
}

async function reach(url, options = {}) {
  let response
  try {
    response = await fetch(url, { ...options, signal: AbortSignal.timeout(TIMEOUT) })
  } catch {
    throw new NoAnswer('away', 'the broker does not answer')
  }
  if (response.status === 401) throw new NoAnswer('sign-in', 'sign in')
  if (response.status === 403) throw new NoAnswer('away', 'the broker answers only its own machine')
  if (!response.ok) throw new NoAnswer('odd', `the broker answered ${response.status}`)
  return response
}
