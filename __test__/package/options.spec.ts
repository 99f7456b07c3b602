// Each option is declared once, in the shape of its set in lib/: the contract, the engine's structs and
// docs/reference/limits.md agree with it.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Option, Shape } from '../../lib/values/option-checks'
import { subpaths } from '../../scripts/util/subpaths.cjs'
import { limitRows, numberOf } from '../support/limits'

const ROOT = join(__dirname, '../..')
const shapesOf = (file: string) => require(`../../dist/${file}.js`) as Record<string, Shape>
const { CLIENT_SHAPE, TRACING_SHAPE } = shapesOf('client/options')
const { SERVER_SHAPE } = shapesOf('broker/options')
const { METRICS_SHAPE, MONITOR_SHAPE } = shapesOf('broker/options')
const { UPSTREAM_SHAPE } = shapesOf('broker/upstream')
const { PRIVATE_ENDS_SHAPE } = shapesOf('broker/permissions')
const { TLS_CLIENT_SHAPE, TLS_SERVER_SHAPE } = shapesOf('engine/tls')
const { DRAIN_SHAPE } = shapesOf('async/drain')
const { WAIT_SHAPE } = shapesOf('async/bounds')
const { MESSAGE_SHAPE, DATA_SHAPE, PUBLISH_SHAPE, REQUEST_SHAPE, REQUEST_MANY_SHAPE, SUBSCRIPTION_SHAPE } =
  shapesOf('messaging/options')
const { LISTEN_SHAPE, CONNECT_SHAPE, SEND_SHAPE, WRITE_SHAPE, END_SHAPE } = shapesOf('socket/options')
const { ROOMS_SHAPE } = shapesOf('rooms/options')
const { DUPLEX_SHAPE } = shapesOf('socket/duplex')
const { FAULTS_SHAPE } = shapesOf('testing/faults')
const { PROXY_SHAPE } = shapesOf('testing/fault-proxy')
const sockety = shapesOf('sockety/options')
const net = shapesOf('net/option-checks')
const dgram = shapesOf('dgram/options')

/** The sets, by the interface that promises each, with the contract that it is in. */
const SETS: readonly [contract: string, name: string, shape: Shape | undefined][] = [
  ['index.d.ts', 'WaitOptions', WAIT_SHAPE],
  ['index.d.ts', 'MessageOptions', MESSAGE_SHAPE],
  ['index.d.ts', 'DataOptions', DATA_SHAPE],
  ['index.d.ts', 'PublishOptions', PUBLISH_SHAPE],
  ['index.d.ts', 'RequestOptions', REQUEST_SHAPE],
  ['index.d.ts', 'RequestManyOptions', REQUEST_MANY_SHAPE],
  ['index.d.ts', 'SubscriptionOptions', SUBSCRIPTION_SHAPE],
  ['index.d.ts', 'ConnectOptions', CLIENT_SHAPE],
  ['index.d.ts', 'TracingOptions', TRACING_SHAPE],
  ['index.d.ts', 'DrainOptions', DRAIN_SHAPE],
  ['index.d.ts', 'SocketListenOptions', LISTEN_SHAPE],
  ['index.d.ts', 'SocketConnectOptions', CONNECT_SHAPE],
  ['index.d.ts', 'RoomsOptions', ROOMS_SHAPE],
  ['index.d.ts', 'SendOptions', SEND_SHAPE],
  ['index.d.ts', 'WriteOptions', WRITE_SHAPE],
  ['index.d.ts', 'SocketDuplexOptions', DUPLEX_SHAPE],
  ['index.d.ts', 'EndOptions', END_SHAPE],
  ['index.d.ts', 'ServerOptions', SERVER_SHAPE],
  ['index.d.ts', 'MetricsOptions', METRICS_SHAPE],
  ['index.d.ts', 'MonitorOptions', MONITOR_SHAPE],
  ['index.d.ts', 'UpstreamOptions', UPSTREAM_SHAPE],
  ['index.d.ts', 'TlsServerOptions', TLS_SERVER_SHAPE],
  ['index.d.ts', 'PrivateEndsOptions', PRIVATE_ENDS_SHAPE],
  ['types/sockety.d.ts', 'SocketyOptions', sockety.SOCKETY_SHAPE],
  ['types/sockety.d.ts', 'ConnectOptions', sockety.CONNECT_SHAPE],
  ['types/sockety.d.ts', 'SecureConnectOptions', sockety.SECURE_CONNECT_SHAPE],
  ['types/sockety.d.ts', 'ServerOptions', sockety.SERVER_SHAPE],
  ['types/net.d.ts', 'NetOptions', net.NET_SHAPE],
  ['types/net.d.ts', 'SocketOptions', net.SOCKET_SHAPE],
  ['types/net.d.ts', 'ConnectOptions', net.CONNECT_SHAPE],
  ['types/net.d.ts', 'ServerOptions', net.SERVER_SHAPE],
  ['types/net.d.ts', 'ListenOptions', net.LISTEN_SHAPE],
  ['types/net.d.ts', 'ExposeOptions', net.EXPOSE_SHAPE],
  ['types/net.d.ts', 'ForwardOptions', net.FORWARD_SHAPE],
  ['types/net.d.ts', 'AgentOptions', net.AGENT_SHAPE],
  ['types/dgram.d.ts', 'SocketOptions', dgram.SOCKET_SHAPE],
  ['types/dgram.d.ts', 'DatagramBindOptions', dgram.BIND_SHAPE],
  ['types/testing.d.ts', 'Faults', FAULTS_SHAPE],
  ['types/testing.d.ts', 'FaultProxyOptions', PROXY_SHAPE],
]

/** What the engine reads: by struct, the set that its fields come from, and the fields that are no options. */
const STRUCTS: readonly [
  file: string,
  struct: string,
  shape: Shape | undefined,
  part: true | string,
  own: string[],
][] = [
  ['node/options', 'ClientOptions', CLIENT_SHAPE, true, ['id', 'broker', 'own', 'tls', 'proxy', 'nats']],
  ['node/options', 'NatsSettings', CLIENT_SHAPE, 'nats', []],
  [
    'node/options',
    'BrokerOptions',
    SERVER_SHAPE,
    true,
    ['tls', 'authority', 'upstream', 'pages', 'watched', 'subscriptionsWatched', 'reportInterval'],
  ],
  ['node/options', 'UpstreamSettings', UPSTREAM_SHAPE, true, ['address', 'tls', 'proxy', 'nats']],
  [
    'node/options',
    'AuthorizerOptions',
    SERVER_SHAPE,
    'authority',
    ['asksUser', 'asksPermission', 'guardsSystem'],
  ],
  [
    'boundary/socket_options',
    'SocketOptions',
    { ...CONNECT_SHAPE!, ...LISTEN_SHAPE! },
    true,
    ['epoch', 'commandTimeout', 'exclusive'],
  ],
  ['node/sockety_options', 'SocketyOptions', sockety.SOCKETY_SHAPE, 'connection', []],
  [
    'node/sockety_options',
    'SocketyConnectOptions',
    sockety.CONNECT_SHAPE,
    true,
    ['port', 'tls', 'connection'],
  ],
  [
    'node/sockety_options',
    'SocketyListenOptions',
    sockety.SERVER_SHAPE,
    true,
    ['host', 'port', 'path', 'socketMode', 'tls', 'connection'],
  ],
  ['node/tls_options', 'ClientTlsSettings', TLS_CLIENT_SHAPE, 'tls', []],
  ['node/tls_options', 'ServerTlsSettings', TLS_SERVER_SHAPE, 'tls', []],
]

/** Not an option, but what `setDefaultSocketTimeouts` sets. */
const { socketTimeouts } = require('../../dist/socket/options.js') as { socketTimeouts: { command: number } }

const optionsOf = (shape: Shape): [string, Partial<Option>][] =>
  Object.entries(shape).map(([name, option]) => [name, typeof option === 'function' ? {} : option])

/** What an interface has from one that it extends: all, or what `Pick` and `Omit` leave. */
function inherited(contract: string, parent: string): [string, string][] {
  const [, kind, whole, list] = /^(Pick|Omit)<(\w+), (.+)>$/.exec(parent) ?? []
  // All that an agent of Node.js knows is its own affair.
  if (parent === 'HttpAgentOptions') return []
  if (kind === undefined) return [...promised(contract, parent)]
  const names = [...list!.matchAll(/'(\w+)'/g)].map(([, name]) => name!)
  // Those of Node.js have their comments there.
  if (whole === 'DuplexOptions') return names.map(name => [name, ''])
  return [...promised(contract, whole!)].filter(([name]) => names.includes(name) === (kind === 'Pick'))
}

/** The properties of an interface and of those that it extends, with their comments. */
function promised(contract: string, name: string): Map<string, string> {
  const text = readFileSync(join(ROOT, contract), 'utf8')
  const [, parents, body] =
    new RegExp(
      `^export interface ${name}(?: extends ([\\w, <>|']+))? \\{(?:\\}|\\n([\\s\\S]*?)^\\})`,
      'm',
    ).exec(text) ?? []
  if (parents === undefined && body === undefined) throw Error(`${contract} has no interface ${name}`)
  const found = new Map(parents?.split(/, (?![^<]*>)/).flatMap(parent => inherited(contract, parent)))
  let comment = ''
  for (const line of (body ?? '').split('\n')) {
    const property = /^ {2}(\w+)\??:/.exec(line)?.[1]
    if (property !== undefined) {
      found.set(property, comment.replace(/\s*\*\/\s*$/, ''))
      comment = ''
    } else comment += ` ${line.replace(/^\s*(\/\*\*|\*(?!\/))\s*/, '')}`
  }
  return found
}

/** The literal after `@default`; nothing where the default is in words. */
function defaultOf(comment: string): string | number | boolean | undefined {
  const text = /@default (.*)$/.exec(comment)?.[1]?.trim()
  if (text === undefined) return undefined
  const [, quoted] = /^['"](.*)['"]$/.exec(text) ?? []
  if (quoted !== undefined) return quoted
  if (text === 'true' || text === 'false') return text === 'true'
  if (text === 'DataEncoding.MsgPack') return 0
  if (/^\d[\d_]*$/.test(text)) return Number(text.replaceAll('_', ''))
  if (/^0o[0-7]+$/.test(text)) return Number(text)
  return /^\d+ [KM]iB$/.test(text) ? numberOf(text) : undefined
}

describe.each(SETS)('%s: %s', (contract, name, shape) => {
  const comments = promised(contract, name)
  const options = optionsOf(shape!)

  test('has the options of its shape', () => {
    expect([...comments.keys()].sort()).toEqual(options.map(([name]) => name).sort())
  })

  test('promises the default values of its shape', () => {
    const defaults = options.map(([name, option]) => [name, option.default])
    expect(options.map(([name]) => [name, defaultOf(comments.get(name)!)])).toEqual(defaults)
  })

  test('says the units of its shape', () => {
    const said = options.map(([name]) => {
      const [sentences] = comments.get(name)!.split('@default')
      return [name, /\b(ms|milliseconds)\b/i.test(sentences!) ? 'ms' : undefined]
    })
    expect(said).toEqual(options.map(([name, { unit }]) => [name, unit === 'ms' ? 'ms' : undefined]))
    for (const [name, { unit }] of options) if (unit === 'bytes') expect(comments.get(name)).toMatch(/bytes/i)
  })
})

test('every interface of options in index.d.ts has a shape', () => {
  const text = readFileSync(join(ROOT, 'index.d.ts'), 'utf8')
  const names = [...text.matchAll(/^export interface (\w+Options)\b/gm)].map(([, name]) => name!)
  expect(names.filter(name => !SETS.some(([, set]) => set === name))).toEqual([])
})

describe.each(STRUCTS)('src/%s.rs: %s', (file, struct, shape, part, own) => {
  const text = readFileSync(join(ROOT, `src/${file}.rs`), 'utf8')
  const body = new RegExp(`^(?:pub )?struct ${struct} \\{\\n([\\s\\S]*?)^\\}`, 'm').exec(text)![1]!
  const fields = [...body.matchAll(/^ {4}(?:pub )?(\w+): /gm)].map(([, field]) =>
    field!.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
  )

  test('has a field for each option that is passed to it, and each other field is an option or its own', () => {
    const passed = optionsOf(shape!).filter(([, { engine }]) => engine === part)
    expect(passed.map(([name]) => name).filter(name => !fields.includes(name))).toEqual([])
    expect(fields.filter(field => !Object.hasOwn(shape!, field) && !own.includes(field))).toEqual([])
    expect(own.filter(field => !fields.includes(field))).toEqual([])
  })
})

test('the default values of the engine are those of the shapes', () => {
  const { defaults } = require('../../native.js') as { defaults(): string }
  const engine = JSON.parse(defaults()) as Record<string, Record<string, unknown>>
  for (const [struct, values] of Object.entries(engine)) {
    const [, , shape, part] = STRUCTS.find(([, name]) => name === struct)!
    const { commandTimeout, ...rest } = values
    if (struct === 'SocketOptions') expect(commandTimeout).toBe(socketTimeouts.command)
    const declared = new Map(optionsOf(shape!).map(([name, option]) => [name, option.default]))
    expect({ struct, ...rest }).toEqual({
      struct,
      ...Object.fromEntries(Object.keys(rest).map(name => [name, declared.get(name)])),
    })
    // None is missing: what is passed and has a default has it in the engine as well.
    const passed = optionsOf(shape!).filter(
      ([, option]) => option.engine === part && option.default !== undefined,
    )
    expect(passed.map(([name]) => name).filter(name => !(name in rest) && name !== 'port')).toEqual([])
  }
})

test('a bound has its row in docs/reference/limits.md, with its default value; and no option is there that is no bound', () => {
  // The options of other sub-paths are their own.
  const others = subpaths.map(({ name }) => `lib/${name}/`)
  const rows = limitRows().flatMap(({ what, most, file }) => {
    const name = /\(`(\w+)`\)$/.exec(what)?.[1]
    const isOther = others.some(folder => file.startsWith(folder))
    return name === undefined || isOther ? [] : [[name, numberOf(most)] as const]
  })
  const bounds = SETS.flatMap(([, , shape]) => optionsOf(shape!).filter(([, { limit }]) => limit))
  for (const [name, { default: value }] of bounds) {
    const numbers = rows.filter(([row]) => row === name).map(([, number]) => number)
    expect([name, numbers]).toEqual([
      name,
      value === undefined ? [expect.any(Number)] : expect.arrayContaining([value]),
    ])
  }
  const known = new Set(SETS.flatMap(([, , shape]) => Object.keys(shape!)))
  const names = new Set(bounds.map(([name]) => name))
  expect(rows.map(([name]) => name).filter(name => known.has(name) && !names.has(name))).toEqual([])
})
