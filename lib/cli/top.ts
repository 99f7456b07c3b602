// selvedge top: a broker and its busiest connections, live.
import type { Command } from 'commander'
import type { BrokerOverview, ConnectionRow } from '../../index'
import { CONNECTION_SORTS } from '../index'
import { examples } from './command'
import { age, amount, connections, type LookingOptions, looking, overview, table, withEye } from './looking'
import type { Eye } from './monitor-eye'
import { onStop, pause, stopSignal } from './stopping'
import type { Terminal } from './terminal'
import { escaped } from './terminal'
import { period } from './values'

interface Options extends LookingOptions {
  interval: number
  once?: boolean
}

/** What one look has seen. */
interface Picture {
  overview: BrokerOverview
  /** A second; none at the first look. */
  rates: { msgsIn: number; msgsOut: number; bytesIn: number; bytesOut: number } | null
  total: number
  matching: number
  rows: ConnectionRow[]
}

const ROWS = 100
/** Lines above and below the table. */
const FRAME = 6
const HELP = 'q quit · s sort by · f filter · p pause · ↑↓ choose · Enter all of one · ? help'

export function top(program: Command): void {
  const command = looking(program.command('top'))
    .summary('watch a broker and its busiest connections')
    .description(
      'Shows a broker live: to whoever may see its monitor, or as its system account. Keys: q s f p ? ↑ ↓ Enter.',
    )
    .option('--interval <time>', 'time between updates', period, 1000)
    .option('--once', 'print one snapshot, without escape codes')
    .action(run)
  examples(
    command,
    'selvedge top --system-password-file monitor.secret --once',
    'selvedge top --system-password-file monitor.secret --once --sort msgsOut --json',
  )
}

async function run(options: Options): Promise<void> {
  options.sort ??= 'msgsIn'
  await withEye(options, async (eye, terminal) => {
    const isLive = terminal.isPerson && process.stdin.isTTY === true && options.json !== true
    if (isLive && options.once !== true) return new Live(eye, options).run()
    await printPictures(eye, terminal, options)
  })
}

/** One picture behind the other. */
async function printPictures(eye: Eye, terminal: Terminal, options: Options): Promise<void> {
  const stop = stopSignal()
  let before: BrokerOverview | undefined
  do {
    const picture = await look(eye, options, before)
    before = picture.overview
    if (options.json === true) await terminal.json(picture)
    else for (const line of [...head(picture), ...table(picture.rows)]) await terminal.line(line)
    if (options.once === true) return
    await pause(options.interval, stop)
  } while (!stop.aborted)
}

async function look(eye: Eye, options: Options, before?: BrokerOverview): Promise<Picture> {
  const [now, page] = await Promise.all([overview(eye), connections(eye, options, ROWS)])
  return { overview: now, rates: before === undefined ? null : ratesOf(before, now), ...page }
}

function ratesOf(before: BrokerOverview, now: BrokerOverview): Picture['rates'] {
  const seconds = Math.max(0.001, (now.now - before.now) / 1000)
  const rate = (read: (totals: BrokerOverview['totals']) => number): number =>
    Math.max(0, (read(now.totals) - read(before.totals)) / seconds)
  return {
    msgsIn: rate(({ published }) => published.messages),
    msgsOut: rate(({ delivered }) => delivered.messages),
    bytesIn: rate(({ published }) => published.bytes),
    bytesOut: rate(({ delivered }) => delivered.bytes),
  }
}

function head({ overview: broker, rates, total, matching }: Picture): string[] {
  const { totals, started, now, draining } = broker
  const up = started === null ? '' : `, up ${age(now - started)}`
  const traffic =
    rates === null
      ? `messages ${amount(totals.published.messages)} in, ${amount(totals.delivered.messages)} out`
      : `messages ${amount(rates.msgsIn)}/s in, ${amount(rates.msgsOut)}/s out · bytes ${amount(rates.bytesIn)}/s in, ${amount(rates.bytesOut)}/s out`
  const refused = totals.publishesRefused + totals.connectionsRefused
  return [
    `selvedge ${broker.version} · broker ${broker.id} of ${broker.name}${up}${draining ? ' · DRAINING' : ''}`,
    `${total} connections · ${totals.subscriptions} subscriptions to ${totals.patterns} patterns · outbox ${amount(totals.outbox.bytes)}`,
    `${traffic} · ${totals.slowConsumers} slow consumers · ${refused} refused`,
    matching === total ? '' : `${matching} of ${total} shown`,
  ]
}

/** What a terminal sends for one key. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: a key is one
const KEYS = /\x1b\[[A-D]|[\s\S]/gu

/** On a terminal, with keys. */
class Live {
  readonly #eye: Eye
  readonly #options: Options
  readonly #stop = new AbortController()
  #picture: Picture | undefined
  #isPaused = false
  #isHelping = false
  #chosen = 0
  /** Whether all of the chosen connection is shown. */
  #isWhole = false
  /** What is being typed. */
  #typed: string | undefined

  constructor(eye: Eye, options: Options) {
    this.#eye = eye
    this.#options = options
  }

  async run(): Promise<void> {
    const { stdin, stdout } = process
    const stop = (): void => this.#stop.abort()
    onStop(stop)
    // A terminal that goes away is not left as the picture had it: it may only look so.
    process.once('SIGHUP', stop)
    const onKey = (part: Buffer): void => this.#handleKeys(part.toString())
    const onResize = (): void => this.#draw()
    stdout.write('\x1b[?1049h\x1b[?25l')
    stdin.setRawMode(true)
    stdin.on('data', onKey)
    stdout.on('resize', onResize)
    try {
      while (!this.#stop.signal.aborted) {
        if (!this.#isPaused) this.#picture = await look(this.#eye, this.#options, this.#picture?.overview)
        this.#draw()
        await pause(this.#options.interval, this.#stop.signal)
      }
    } finally {
      stdin.off('data', onKey)
      stdout.off('resize', onResize)
      stdin.setRawMode(false)
      stdin.pause()
      stdout.write('\x1b[?25h\x1b[?1049l')
    }
  }

  /** Several may come at once. */
  #handleKeys(text: string): void {
    for (const key of text.match(KEYS) ?? []) this.#handleKey(key)
    this.#draw()
  }

  #handleKey(text: string): void {
    if (text === '\u0003') this.#stop.abort()
    else if (this.#typed !== undefined) this.#type(text)
    else if (text === 'q') this.#stop.abort()
    else if (text === 's') this.#sortByNext()
    else if (text === 'f') this.#typed = this.#options.filter ?? ''
    else if (text === 'p') this.#isPaused = !this.#isPaused
    else if (text === '?') this.#isHelping = !this.#isHelping
    else if (text === '\x1b[A') this.#chosen = Math.max(0, this.#chosen - 1)
    else if (text === '\x1b[B') this.#chosen += 1
    else if (text === '\r') this.#isWhole = !this.#isWhole
  }

  #type(key: string): void {
    if (key === '\r' || key === '\n') {
      if (this.#typed === '') delete this.#options.filter
      else this.#options.filter = this.#typed as string
      this.#typed = undefined
    } else if (key.startsWith('\x1b')) this.#typed = undefined
    else this.#typed = key === '\u007f' ? this.#typed!.slice(0, -1) : this.#typed + key
  }

  #sortByNext(): void {
    const at = CONNECTION_SORTS.indexOf(this.#options.sort ?? 'since')
    this.#options.sort = CONNECTION_SORTS[(at + 1) % CONNECTION_SORTS.length]!
  }

  #draw(): void {
    const picture = this.#picture
    if (picture === undefined || this.#stop.signal.aborted) return
    // A terminal that does not know its size says 0.
    const { rows, columns } = { rows: process.stdout.rows || 24, columns: process.stdout.columns || 80 }
    this.#chosen = Math.min(this.#chosen, Math.max(0, picture.rows.length - 1))
    const lines = [...head(picture).slice(0, 3), this.#status(picture)]
    const row = picture.rows[this.#chosen]
    if (this.#isWhole && row !== undefined) {
      for (const [name, value] of Object.entries(row))
        lines.push(`${name.padEnd(14)}${escaped(String(value))}`)
    } else {
      const [first = '', ...rest] = table(picture.rows)
      const room = Math.max(1, rows - FRAME)
      const from = Math.max(0, this.#chosen - room + 1)
      lines.push(`\x1b[7m${first.slice(0, columns).padEnd(columns)}\x1b[0m`)
      for (const [at, line] of rest.slice(from, from + room).entries()) {
        const text = line.slice(0, columns)
        lines.push(at + from === this.#chosen ? `\x1b[1m${text}\x1b[0m` : text)
      }
    }
    process.stdout.write(`\x1b[H${lines.map(line => `${line}\x1b[K`).join('\r\n')}\x1b[J`)
  }

  #status({ matching, total }: Picture): string {
    if (this.#typed !== undefined) return `filter: ${escaped(this.#typed)}_`
    if (this.#isHelping) return HELP
    const { sort, filter } = this.#options
    const parts = [`by ${sort}`, this.#isPaused ? 'PAUSED' : '', '? for help']
    if (filter !== undefined) parts.push(`filter '${escaped(filter)}': ${matching} of ${total}`)
    return parts.filter(part => part !== '').join(' · ')
  }
}
