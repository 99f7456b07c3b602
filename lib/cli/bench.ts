// selvedge bench: how fast a broker is from here.
import type { Command } from 'commander'
import { Argument } from 'commander'
import { type Client, init } from '../index'
import { connecting, examples } from './command'
import { addressOf, type CommonOptions, open } from './connection'
import { stopSignal } from './stopping'
import { Terminal } from './terminal'
import { count, period } from './values'

const WORKLOADS = ['pubsub', 'request', 'socket'] as const
type Workload = (typeof WORKLOADS)[number]

interface Options extends CommonOptions {
  size: number
  duration: number
  clients: number
  window: number
}

interface Result {
  messages: number
  seconds: number
  /** Of each answer, in ms. */
  times?: number[]
}

export function bench(program: Command): void {
  const command = connecting(program.command('bench'))
    .summary('measure messages, requests and sockets')
    .description(
      'Measures against --server, or against a broker of its own. Compare runs on one machine only.',
    )
    .addArgument(new Argument('[workload]').choices([...WORKLOADS, 'all']).default('all'))
    .option('--size <bytes>', 'payload of a message', count, 16)
    .option('--duration <time>', 'duration of each workload', period, 5000)
    .option('--clients <n>', 'pairs of connections that do the same at once', count, 1)
    .option('--window <n>', 'requests in flight, of each pair', count, 64)
    .action(run)
  examples(command, 'selvedge bench --duration 1s', 'selvedge bench request --window 1 --duration 500ms')
}

async function run(workload: Workload | 'all', options: Options): Promise<void> {
  const terminal = new Terminal(options)
  const own = options.server === undefined && addressOf(options).from === 'the default'
  const broker = own ? init({ port: 0 }) : undefined
  try {
    await broker?.waitUntilReady()
    const settings = broker === undefined ? options : { ...options, server: String(broker.address()) }
    const clients: Client[] = []
    try {
      while (clients.length < 2 * options.clients) clients.push(await open(settings, terminal))
      for (const name of workload === 'all' ? WORKLOADS : [workload]) {
        if (stopSignal().aborted) return
        const progress = new Progress(name, options.duration, terminal)
        const results = Array.from({ length: options.clients }, (_, n) =>
          MEASURES[name](clients[2 * n]!, clients[2 * n + 1]!, options, progress),
        )
        const result = together(await Promise.all(results))
        progress.end()
        await tell(terminal, name, result, options)
      }
    } finally {
      await Promise.all(clients.map(client => client.close()))
    }
  } finally {
    await broker?.close()
  }
}

/** What was done at once: the time is that of the longest. */
function together(results: readonly Result[]): Result {
  const messages = results.reduce((sum, result) => sum + result.messages, 0)
  const seconds = Math.max(...results.map(result => result.seconds))
  const times = results.flatMap(result => result.times ?? [])
  return { messages, seconds, ...(times.length === 0 ? {} : { times }) }
}

/** A bar on a terminal, nothing elsewhere. */
class Progress {
  readonly #name: string
  readonly #total: number
  readonly #isShown: boolean
  readonly #start = performance.now()
  #shown = 0

  constructor(name: string, total: number, { isPerson }: Terminal) {
    this.#name = name
    this.#total = total
    this.#isShown = isPerson && process.stderr.isTTY === true
  }

  /** Returns whether there is time left. */
  tick(): boolean {
    const passed = performance.now() - this.#start
    if (this.#isShown && passed - this.#shown > 100) {
      this.#shown = passed
      const part = Math.min(1, passed / this.#total)
      const bar = '█'.repeat(Math.round(part * 30)).padEnd(30, '░')
      process.stderr.write(`\r${this.#name.padEnd(8)} ${bar} ${Math.round(part * 100)} %`)
    }
    return passed < this.#total && !stopSignal().aborted
  }

  end(): void {
    if (this.#isShown) process.stderr.write('\r\x1b[K')
  }
}

type Measure = (writer: Client, reader: Client, options: Options, progress: Progress) => Promise<Result>

const MEASURES: Record<Workload, Measure> = {
  pubsub: measurePubsub,
  request: measureRequests,
  socket: measureSocket,
}

/** Messages in the way at once, where nothing else limits them. */
const BATCH = 1000

async function measurePubsub(
  writer: Client,
  reader: Client,
  { size }: Options,
  progress: Progress,
): Promise<Result> {
  const subject = `bench.${writer.id}`
  const subscription = await reader.subscribe(subject)
  const payload = Buffer.alloc(size)
  const start = performance.now()
  let messages = 0
  while (progress.tick()) {
    for (let sent = 1; sent < BATCH; sent += 1) writer.publishSync(subject, payload)
    await writer.publish(subject, payload)
    for (let left = BATCH; left > 0; left -= 1) await subscription.next()
    messages += BATCH
  }
  const seconds = (performance.now() - start) / 1000
  subscription.close()
  return { messages, seconds }
}

async function measureRequests(
  writer: Client,
  reader: Client,
  { size, window }: Options,
  progress: Progress,
): Promise<Result> {
  const subject = `bench.${writer.id}`
  const subscription = await reader.subscribe(subject)
  const answering = (async () => {
    for await (const request of subscription) request.respondSync(request.data)
  })()
  const payload = Buffer.alloc(size)
  const times: number[] = []
  const start = performance.now()
  const ask = async (): Promise<void> => {
    while (progress.tick()) {
      const asked = performance.now()
      await writer.request(subject, payload)
      times.push(performance.now() - asked)
    }
  }
  await Promise.all(Array.from({ length: window }, ask))
  const seconds = (performance.now() - start) / 1000
  subscription.close()
  await answering
  return { messages: times.length, seconds, times }
}

async function measureSocket(
  writer: Client,
  reader: Client,
  { size }: Options,
  progress: Progress,
): Promise<Result> {
  const subject = `bench.${writer.id}`
  const server = reader.socket.listen(subject)
  let received = 0
  server.on('connection', socket => {
    socket.on('data', () => {
      received += 1
    })
  })
  await server.waitUntilReady()
  const socket = writer.socket.connect(subject)
  await socket.waitUntilReady()
  const payload = Buffer.alloc(size)
  const start = performance.now()
  let messages = 0
  while (progress.tick()) {
    for (let sent = 0; sent < BATCH; sent += 1) {
      messages += 1
      if (!socket.write(payload)) await socket.waitUntilWritable()
    }
    await new Promise(setImmediate)
  }
  await socket.end()
  const seconds = (performance.now() - start) / 1000
  await server.end()
  if (received !== messages) throw Error(`${messages - received} of ${messages} messages did not arrive`)
  return { messages, seconds }
}

async function tell(
  terminal: Terminal,
  name: Workload,
  { messages, seconds, times }: Result,
  { json, size, clients }: Options,
) {
  const rate = messages / seconds
  const latency = times === undefined ? undefined : quantiles(times)
  if (json === true) {
    await terminal.json({
      event: 'result',
      workload: name,
      size,
      clients,
      messages,
      seconds,
      rate,
      ...latency,
    })
    return
  }
  const line = `${name.padEnd(8)} ${Math.round(rate).toLocaleString('en')}/s  ${((rate * size) / 1e6).toFixed(1)} MB/s`
  const tail =
    latency === undefined
      ? ''
      : `  p50 ${latency.p50} ms  p90 ${latency.p90} ms  p99 ${latency.p99} ms  max ${latency.max} ms`
  await terminal.line(line + tail)
}

function quantiles(times: number[]): { p50: number; p90: number; p99: number; max: number } {
  times.sort((a, b) => a - b)
  const at = (part: number): number => Number((times[Math.floor(part * (times.length - 1))] ?? 0).toFixed(3))
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) }
}
