// The monitor of a broker: a page, and the data that it shows.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BrokerEvent, MonitorOptions, MonitorOverview } from '../../index'
import { FabricError } from '../values/errors'
import type { Action } from './actions'
import { headerOf, isFromHere, type PageRequest, type PageResponse, plain } from './pages'
import { MONITOR_PATH } from './paths'
import { SESSION_TIME, Sessions } from './sessions'
import type { About } from './system-service'
import type { BrokerWatch } from './watch'

const FOLDER = join(__dirname, '../../monitor')
const COOKIE = 'selvedge_monitor'

/** What of the page is a file: nothing else is read. */
const FILES: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'style.css': 'text/css; charset=utf-8',
  'start.mjs': 'text/javascript; charset=utf-8',
  'app.mjs': 'text/javascript; charset=utf-8',
  'api.mjs': 'text/javascript; charset=utf-8',
  'charts.mjs': 'text/javascript; charset=utf-8',
  'detail.mjs': 'text/javascript; charset=utf-8',
  'table.mjs': 'text/javascript; charset=utf-8',
  'tabs.mjs': 'text/javascript; charset=utf-8',
  'text.mjs': 'text/javascript; charset=utf-8',
  'icon.svg': 'image/svg+xml',
}

/** A page that runs nothing but its own files, asks nobody else, and stands in no other page. */
const PROTECTION = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
}

export interface Monitored extends About {
  /** Counts by reason. */
  more(): Pick<MonitorOverview, 'counts'>
}

type Parameters = Record<string, string>

export class Monitor {
  readonly #about: Monitored
  readonly #watch: BrokerWatch
  readonly #sessions: Sessions | undefined
  readonly #actions: Readonly<Record<string, Action>> | undefined
  readonly #files = new Map<string, { body: Buffer; etag: string; type: string }>()

  /** Without a password only this machine is answered. */
  constructor(
    about: Monitored,
    watch: BrokerWatch,
    actions: Readonly<Record<string, Action>>,
    options: MonitorOptions,
  ) {
    this.#about = about
    this.#watch = watch
    if (options.actions === true) this.#actions = actions
    if (options.password !== undefined) this.#sessions = new Sessions(options.password)
  }

  /** Answers whatever is asked for at or below {@link MONITOR_PATH}. */
  answer(request: PageRequest, isEncrypted: boolean): PageResponse {
    const response = this.#answer(request, isEncrypted)
    return { ...response, headers: { ...PROTECTION, ...response.headers } }
  }

  #answer(request: PageRequest, isEncrypted: boolean): PageResponse {
    if (this.#sessions === undefined && !isFromHere(request)) {
      return plain(403, 'only from this machine, and not through a proxy; or give the monitor a password')
    }
    const [path = '', query = ''] = request.target.split('?', 2)
    const name = path.slice(MONITOR_PATH.length).replace(/^\/+/, '')
    if (name === 'login' || name === 'logout') return this.#handleSession(name, request, isEncrypted)
    const action = /^api\/(disconnect|revalidate|drain)$/.exec(name)?.[1]
    if (action !== undefined) return this.#act(action, request)
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return plain(405, 'method not allowed', { Allow: 'GET, HEAD' })
    }
    if (name.startsWith('api/')) return this.#answerApi(name.slice('api/'.length), query, request)
    return this.#file(name === '' ? 'index.html' : name, request)
  }

  #handleSession(name: 'login' | 'logout', request: PageRequest, isEncrypted: boolean): PageResponse {
    if (request.method !== 'POST') return plain(405, 'method not allowed', { Allow: 'POST' })
    const sessions = this.#sessions
    if (sessions === undefined) return plain(404, 'this monitor has no password')
    const attributes = `HttpOnly; SameSite=Strict; Path=/${isEncrypted ? '; Secure' : ''}`
    if (name === 'logout') {
      sessions.signOut(sessionOf(request))
      return plain(204, '', { 'Set-Cookie': `${COOKIE}=; Max-Age=0; ${attributes}` })
    }
    const given = new URLSearchParams(request.body).get('password') ?? ''
    const result = sessions.signIn(given, request.address)
    if (result === 'wait') return tooMany()
    if (result === 'wrong') return plain(401, 'wrong password')
    const cookie = `${COOKIE}=${result.session}; Max-Age=${SESSION_TIME / 1000}; ${attributes}`
    return plain(204, '', { 'Set-Cookie': cookie })
  }

  /** A refusal of whoever may not look. */
  #refusal(request: PageRequest): PageResponse | undefined {
    const sessions = this.#sessions
    if (sessions === undefined || sessions.has(sessionOf(request))) return undefined
    const [, basic] = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(headerOf(request, 'authorization') ?? '') ?? []
    if (basic === undefined) return plain(401, 'sign in')
    const password = Buffer.from(basic, 'base64')
      .toString()
      .replace(/^[^:]*:/, '')
    const verdict = sessions.check(password, request.address)
    if (verdict === 'right') return undefined
    return verdict === 'wait' ? tooMany() : plain(401, 'wrong password')
  }

  #act(name: string, request: PageRequest): PageResponse {
    const refusal = this.#refusal(request)
    if (refusal !== undefined) return refusal
    const action = this.#actions?.[name]
    if (action === undefined) return plain(403, 'this monitor changes nothing: its option actions is off')
    if (request.method !== 'POST') return plain(405, 'method not allowed', { Allow: 'POST' })
    // A form of another page cannot have this type.
    if (headerOf(request, 'content-type') !== 'application/json') return plain(415, 'send application/json')
    return answered(() => action(bodyOf(request), request.address))
  }

  #answerApi(name: string, query: string, request: PageRequest): PageResponse {
    const refusal = this.#refusal(request)
    if (refusal !== undefined) return refusal
    const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined
    if (method === undefined) return plain(404, 'not found')
    return answered(() => {
      const answer = method(this.#about, this.#watch, Object.fromEntries(new URLSearchParams(query)))
      return name === 'overview' ? { ...(answer as object), actions: this.#actions !== undefined } : answer
    })
  }

  #file(name: string, request: PageRequest): PageResponse {
    const type = Object.hasOwn(FILES, name) ? FILES[name] : undefined
    if (type === undefined) return plain(404, 'not found')
    let file = this.#files.get(name)
    if (file === undefined) {
      const body = readFileSync(join(FOLDER, name))
      const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
      file = { body, etag, type }
      this.#files.set(name, file)
    }
    const headers = { 'Content-Type': type, 'Cache-Control': 'no-cache', ETag: file.etag }
    if (headerOf(request, 'if-none-match') === file.etag) return { status: 304, headers, body: '' }
    return { status: 200, headers, body: file.body }
  }
}

type Method = (about: Monitored, watch: BrokerWatch, parameters: Parameters) => unknown

/** What the page asks for; the same as system accounts may. */
const METHODS: Readonly<Record<string, Method>> = {
  overview: (about, watch, { since = '0' }): Omit<MonitorOverview, 'actions'> => ({
    ...about.overview(),
    ...about.more(),
    rates: { now: watch.rates(1), minute: watch.rates(60) },
    lastMinute: {
      slowConsumers: watch.count(['slow_consumer'], 60_000),
      refusals: watch.count(REFUSALS, 60_000),
    },
    history: watch.samples(number(since) ?? 0),
  }),
  connections: (about, _, parameters) => about.connections(query(parameters)),
  connection: (about, watch, { id = '' }) => {
    const found = about.connection(id)
    return { connection: found, sockets: socketsOf(about, id), events: watch.events(0, 50, id) }
  },
  subjects: (about, _, parameters) => about.subjects(query(parameters)),
  sockets: (about, _, parameters) => about.sockets(query(parameters)),
  events: (_, watch, { after, limit, id }) => ({
    events: watch.events(number(after) ?? 0, Math.min(1000, number(limit) ?? 1000), id),
  }),
}

const REFUSALS: readonly BrokerEvent['kind'][] = [
  'refused',
  'sign_in_failed',
  'subscribe_refused',
  'publish_refused',
]

/** Returns the sockets of one connection. */
function socketsOf(about: Monitored, connection: string): unknown {
  return about.sockets({ filter: connection, limit: 500 }).rows.filter(row => row.connection === connection)
}

/** Returns the options of a call: numbers where there are to be some; the call checks them. */
function query(parameters: Parameters): Record<string, unknown> {
  const entries = Object.entries(parameters).filter(([, value]) => value !== '')
  return Object.fromEntries(
    entries.map(([name, value]) => [name, ['offset', 'limit'].includes(name) ? Number(value) : value]),
  )
}

function number(text: string | undefined): number | undefined {
  const value = Number(text)
  return text === undefined || Number.isNaN(value) ? undefined : value
}

function sessionOf(request: PageRequest): string {
  const cookies = headerOf(request, 'cookie')?.split(/; */) ?? []
  const own = cookies.find(cookie => cookie.startsWith(`${COOKIE}=`))
  return own?.slice(COOKIE.length + 1) ?? ''
}

function answered(make: () => unknown): PageResponse {
  try {
    return json(200, make())
  } catch (error) {
    if (!(error instanceof FabricError)) throw error
    return json(error.code === 'ERR_CLOSED' ? 503 : 400, { error: error.message, code: error.code })
  }
}

/** Nothing, or an object in JSON. */
function bodyOf({ body }: PageRequest): Record<string, unknown> {
  try {
    const value: unknown = body === '' ? {} : JSON.parse(body)
    if (value !== null && typeof value === 'object') return value as Record<string, unknown>
  } catch {
    // Told below.
  }
  throw new FabricError('the body must be an object in JSON', 'ERR_INVALID_ARG_VALUE')
}

function json(status: number, value: unknown): PageResponse {
  return { status, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) }
}

function tooMany(): PageResponse {
  return plain(429, 'too many wrong passwords: wait a minute', { 'Retry-After': '60' })
}
