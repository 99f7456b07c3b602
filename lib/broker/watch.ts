// What a broker that is watched remembers: its rates of the last minutes, and what has happened. Looks once a
// second, whether or not anybody asks, and keeps so much and no more.
import type { BrokerEvent, BrokerRates } from '../../index'
import { cut, userText } from './overview'
import type { BrokerTotals, JournalEntry } from './views'

/** Returns what others may see of a user, a subject or the text of an error. */
function shownText(kind: BrokerEvent['kind'], text: string): string {
  // An inbox: whoever knows it can read what comes to it.
  if (/^_INBOX/.test(text)) return text.split('.', 1)[0]!
  if (!['connect', 'disconnect', 'slow_consumer'].includes(kind)) return cut(text)
  try {
    return userText(JSON.parse(text))
  } catch {
    // Of a user that is too long to be read here its secrets cannot be hidden.
    return ''
  }
}

/** Milliseconds between two looks. */
const INTERVAL = 1000
const MAX_EVENTS = 1000
/** Numbers of a sample: its time, then as in {@link BrokerRates}, then the connections and bytes that wait. */
export type Sample = [
  time: number,
  msgsIn: number,
  msgsOut: number,
  bytesIn: number,
  bytesOut: number,
  connections: number,
  outbox: number,
]

interface Seen {
  totals(): BrokerTotals | undefined
  /** What has happened since it was asked the last time. */
  journal(): JournalEntry[]
}

export class BrokerWatch {
  readonly #seen: Seen
  readonly #length: number
  readonly #samples: Sample[] = []
  readonly #events: BrokerEvent[] = []
  #before: { totals: BrokerTotals; at: number } | undefined
  #timer: NodeJS.Timeout | undefined

  /** Keeps so many seconds. */
  constructor(seen: Seen, seconds: number) {
    this.#seen = seen
    this.#length = seconds
  }

  start(): void {
    this.#look()
    this.#timer ??= setInterval(() => this.#look(), INTERVAL).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** What was seen after this time, oldest first. */
  samples(since: number): Sample[] {
    const from = this.#samples.findIndex(([time]) => time > since)
    return from < 0 ? [] : this.#samples.slice(from)
  }

  /** Means of the last so many looks. */
  rates(seconds: number): BrokerRates {
    const samples = this.#samples.slice(-seconds)
    const mean = (at: 1 | 2 | 3 | 4): number =>
      samples.reduce((sum, sample) => sum + sample[at], 0) / Math.max(1, samples.length)
    return { msgsIn: mean(1), msgsOut: mean(2), bytesIn: mean(3), bytesOut: mean(4) }
  }

  /** The latest events behind this number, oldest first; those of one connection alone if it is named. */
  events(after: number, limit: number, id?: string): BrokerEvent[] {
    this.#takeJournal()
    const wanted = this.#events.filter(event => event.number > after && (id === undefined || event.id === id))
    return wanted.slice(-limit)
  }

  /** How many events of these kinds there were within the last so many milliseconds. */
  count(kinds: readonly BrokerEvent['kind'][], ms: number): number {
    const since = Date.now() - ms
    return this.#events.filter(event => event.time >= since && kinds.includes(event.kind)).length
  }

  #look(): void {
    const totals = this.#seen.totals()
    if (totals === undefined) return
    this.#takeJournal()
    // By a clock that nobody sets back.
    const at = performance.now()
    const before = this.#before
    this.#before = { totals, at }
    if (before === undefined) return
    const seconds = Math.max(0.001, (at - before.at) / 1000)
    const rate = (read: (totals: BrokerTotals) => number): number =>
      Math.round(((read(totals) - read(before.totals)) / seconds) * 10) / 10
    this.#samples.push([
      Date.now(),
      rate(({ published }) => published.messages),
      rate(({ delivered }) => delivered.messages),
      rate(({ published }) => published.bytes),
      rate(({ delivered }) => delivered.bytes),
      totals.connections,
      totals.outbox.bytes,
    ])
    if (this.#samples.length > Math.max(1, this.#length)) this.#samples.shift()
  }

  #takeJournal(): void {
    const time = Date.now()
    for (const { number, kind, id, code, text } of this.#seen.journal()) {
      if (kind === 'subscribed') continue
      this.#events.push({ number, time, kind, id: cut(id), code, text: shownText(kind, text) })
    }
    if (this.#events.length > MAX_EVENTS) this.#events.splice(0, this.#events.length - MAX_EVENTS)
  }
}
