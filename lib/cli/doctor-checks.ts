// The checks of `selvedge doctor`, in order: each looks at one thing and says what it found.
import { lookup } from 'node:dns/promises'
import { connect as dial } from 'node:net'
import { connect as dialTls } from 'node:tls'
import { type Client, randomId } from '../index'
import { type CommonOptions, file, open } from './connection'
import { Echo } from './echo'
import { codeOf, textOf } from './failure'
import { Terminal } from './terminal'
import { version } from './version'

export interface Finding {
  level: 'ok' | 'warn' | 'FAIL'
  text: string
  todo?: string
  /** Whether a FAIL makes the checks that need a connection pointless. @default true */
  ends?: boolean
}

/** What the checks find out for each other. */
export interface Surroundings {
  readonly options: CommonOptions & { subject?: string }
  readonly address: string
  readonly closing: (() => Promise<unknown>)[]
  url?: URL
  client?: Client
}

export interface Check {
  name: string
  /** What must have worked before. */
  needs: 'nothing' | 'network'
  look(around: Surroundings): Promise<Finding[]>
}

const DAY = 86_400_000
const EXPIRES_SOON = 14 * DAY
const TCP_TIMEOUT = 5000
const MAX_CLOCK_DIFFERENCE = 1000
const ROUND_TRIPS = 100
const MEGABYTE = 1 << 20
const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  'http:': 80,
  'https:': 443,
  'ws:': 80,
  'wss:': 443,
  'nats:': 4222,
  'tls:': 4222,
}

export const CHECKS: readonly Check[] = [
  { name: 'node', needs: 'nothing', look: node },
  { name: 'address', needs: 'nothing', look: address },
  { name: 'dns', needs: 'network', look: dns },
  { name: 'proxy', needs: 'nothing', look: proxy },
  { name: 'tcp', needs: 'network', look: tcp },
  { name: 'tls', needs: 'network', look: tls },
  { name: 'signin', needs: 'network', look: signIn },
  { name: 'wire', needs: 'network', look: wire },
  { name: 'inbox', needs: 'network', look: inbox },
  { name: 'permissions', needs: 'network', look: permissions },
  { name: 'clock', needs: 'network', look: clock },
  { name: 'tap', needs: 'network', look: tap },
  { name: 'roundtrip', needs: 'network', look: roundTrip },
  { name: 'buffers', needs: 'network', look: buffers },
]

async function node(): Promise<Finding[]> {
  const { glibcVersionRuntime } = (process.report.getReport() as { header: { glibcVersionRuntime?: string } })
    .header
  const libc =
    process.platform !== 'linux'
      ? ''
      : glibcVersionRuntime === undefined
        ? ', musl'
        : `, glibc ${glibcVersionRuntime}`
  const text = `selvedge ${version}, Node.js ${process.versions.node}, Node-API ${process.versions.napi}, ${process.platform} ${process.arch}${libc}`
  const [major] = process.versions.node.split('.')
  return [
    Number(major) >= 20
      ? { level: 'ok', text }
      : { level: 'FAIL', text, todo: 'install Node.js 20 or newer' },
  ]
}

async function address(around: Surroundings): Promise<Finding[]> {
  if (/^unix:/.test(around.address) || around.address.startsWith('/')) {
    return [{ level: 'ok', text: `${around.address}, a Unix socket` }]
  }
  try {
    around.url = new URL(around.address)
  } catch {
    return [{ level: 'FAIL', text: `'${around.address}' is no URL`, todo: 'give --server http://HOST:PORT' }]
  }
  if (!(around.url.protocol in DEFAULT_PORTS)) {
    const text = `'${around.address}' has the unknown scheme '${around.url.protocol.slice(0, -1)}'`
    return [{ level: 'FAIL', text, todo: 'use http, https, ws, wss, nats, tls or unix' }]
  }
  return [{ level: 'ok', text: around.url.host }]
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '')
}

function portOf({ port, protocol }: URL): number {
  return port === '' ? DEFAULT_PORTS[protocol]! : Number(port)
}

async function dns({ url }: Surroundings): Promise<Finding[]> {
  if (url === undefined) return []
  try {
    const found = await lookup(hostOf(url), { all: true })
    const of = (family: number): string =>
      found
        .filter(one => one.family === family)
        .map(one => one.address)
        .join(' ') || 'none'
    return [{ level: 'ok', text: `IPv4 ${of(4)}, IPv6 ${of(6)}` }]
  } catch (error) {
    const text = `'${url.hostname}' is not known (${codeOf(error)})`
    if (proxyFor(url) !== undefined) return [{ level: 'warn', text, todo: 'the proxy must know it' }]
    const todo = 'check the name, and the resolver of this machine'
    return [{ level: 'FAIL', text, todo }]
  }
}

async function proxy({ url }: Surroundings): Promise<Finding[]> {
  const named = url && proxyFor(url)
  if (named === undefined) return [{ level: 'ok', text: 'none in the environment for this server' }]
  return [{ level: 'ok', text: `that of ${named}, unless NO_PROXY lists the server` }]
}

/** Returns the variable that names a proxy for a server. */
function proxyFor(url: URL): string | undefined {
  if (/^(127\.|\[::1\]$|(.*\.)?localhost$)/.test(url.hostname)) return undefined
  const lower = /^(https|wss|tls):$/.test(url.protocol) ? 'https_proxy' : 'http_proxy'
  return [lower, lower.toUpperCase()].find(name => (process.env[name] ?? '') !== '')
}

/** A failure to go straight to a server: with a proxy no more than a warning. */
function straightFailure(url: URL | undefined, text: string, todo: string): Finding {
  const named = url && proxyFor(url)
  if (named === undefined) return { level: 'FAIL', text, todo }
  return {
    level: 'warn',
    text: `not straight: ${text}`,
    todo: `nothing if the proxy of ${named} leads there`,
  }
}

async function tcp({ url, address: path }: Surroundings): Promise<Finding[]> {
  const target =
    url === undefined ? { path: path.replace(/^unix:(\/\/)?/, '') } : { host: hostOf(url), port: portOf(url) }
  return new Promise(resolve => {
    const start = performance.now()
    const socket = dial(target)
    const done = (finding: Finding): void => {
      socket.destroy()
      resolve([finding])
    }
    socket.setTimeout(TCP_TIMEOUT, () => {
      const todo = 'a firewall drops what is sent there; check it, and the port'
      done(straightFailure(url, `no answer in ${TCP_TIMEOUT} ms`, todo))
    })
    socket.on('connect', () => {
      done({ level: 'ok', text: `connected in ${(performance.now() - start).toFixed(1)} ms` })
    })
    socket.on('error', error => {
      const todo =
        codeOf(error) === 'ECONNREFUSED' || codeOf(error) === 'ENOENT'
          ? 'nothing listens there: start a broker (selvedge broker), or check the port'
          : 'check the network'
      done(straightFailure(url, `${codeOf(error)}`, todo))
    })
  })
}

async function tls({ url, options }: Surroundings): Promise<Finding[]> {
  if (url === undefined || !['https:', 'wss:'].includes(url.protocol))
    return [{ level: 'ok', text: 'not used' }]
  const ca = options.ca === undefined ? {} : { ca: file(options.ca, '--ca') }
  return new Promise(resolve => {
    const host = hostOf(url)
    const socket = dialTls({ host, port: portOf(url), servername: host, rejectUnauthorized: false, ...ca })
    socket.setTimeout(TCP_TIMEOUT, () => socket.destroy(Error('no answer to the TLS handshake')))
    socket.on('secureConnect', () => {
      const { valid_to: until } = socket.getPeerCertificate()
      const left = Date.parse(until) - Date.now()
      const text = `${socket.getProtocol()}, the certificate is valid until ${until}`
      const refusal = socket.authorizationError as unknown as string | undefined
      socket.destroy()
      if (refusal != null && options.insecure !== true) {
        const todo = `trust its authority with --ca, or mend the certificate (${refusal})`
        resolve([{ level: 'FAIL', text: 'the certificate is not trusted', todo }])
      } else if (left < EXPIRES_SOON) {
        resolve([{ level: 'warn', text, todo: 'renew the certificate' }])
      } else resolve([{ level: 'ok', text }])
    })
    socket.on('error', error => {
      const todo = 'the port may speak no TLS: try http:// instead of https://'
      resolve([straightFailure(url, textOf(error), todo)])
    })
  })
}

async function signIn(around: Surroundings): Promise<Finding[]> {
  try {
    const { timeout } = around.options
    const client = await open({ ...around.options, retry: false, timeout: Math.min(timeout, 10_000) }, quiet)
    around.client = client
    around.closing.push(() => client.close())
    const user = client.info?.user
    return [{ level: 'ok', text: user == null ? 'signed in' : `signed in as ${JSON.stringify(user)}` }]
  } catch (error) {
    const refused = codeOf(error) === 'ERR_SIGN_IN' || codeOf(error) === 403
    const todo = refused
      ? 'check --user, --password-file or --token-file'
      : 'something answers there that is no broker, or it is full: check the port and the path'
    return [{ level: 'FAIL', text: `${textOf(error)} (${codeOf(error)})`, todo }]
  }
}

const quiet = new Terminal({ quiet: true })

async function wire({ options, client }: Surroundings): Promise<Finding[]> {
  switch (client?.wire) {
    case 'selvedge':
      return [{ level: 'ok', text: 'the fabric protocol' }]
    case 'websocket':
      return [{ level: 'ok', text: 'the fabric protocol inside a WebSocket: by itself it did not pass' }]
    case 'nats':
      return [{ level: 'ok', text: 'NATS' }]
    default: {
      if (options.wire === 'conat') return [{ level: 'ok', text: `Conat's protocol, as asked for` }]
      const todo = 'none if it is a server of Conat; else look for a proxy that changes what passes'
      return [{ level: 'warn', text: `Conat's protocol: the server grants no other`, todo }]
    }
  }
}

async function inbox({ client }: Surroundings): Promise<Finding[]> {
  const echo = await Echo.open(client!)
  try {
    const { data } = await client!.request(echo.subject, 'hello', { timeout: 5000 })
    if (data === 'hello') return [{ level: 'ok', text: 'a request to ourselves comes back' }]
    const todo = 'look for a proxy in between'
    return [{ level: 'FAIL', text: 'a request came back changed', todo, ends: false }]
  } catch (error) {
    const todo = 'the user needs permission to subscribe to its inbox, and to publish to others'
    return [{ level: 'FAIL', text: textOf(error), todo, ends: false }]
  } finally {
    await echo.close()
  }
}

async function permissions({ client, options }: Surroundings): Promise<Finding[]> {
  const { subject } = options
  if (subject === undefined) return []
  const subscribe = async (pattern: string): Promise<void> => (await client!.subscribe(pattern)).close()
  const id = randomId()
  const tries: [string, () => Promise<unknown>][] = [
    ['publish to', () => client!.interest(subject)],
    ['subscribe to', () => subscribe(subject)],
    // What a socket server, and what its client, is subscribed and publishes to.
    [
      'listen on',
      () =>
        Promise.all([subscribe(`${subject}.server.${id}.*`), client!.interest(`${subject}.client.${id}`)]),
    ],
    [
      'connect to',
      () => Promise.all([subscribe(`${subject}.client.${id}`), client!.interest(`${subject}.server.status`)]),
    ],
  ]
  const findings: Finding[] = []
  for (const [what, attempt] of tries) {
    try {
      await attempt()
      findings.push({ level: 'ok', text: `may ${what} '${subject}'` })
    } catch (error) {
      const todo = `allow it in the users file of the broker (pub, sub, listen, connect), or in isAllowed`
      findings.push({ level: 'warn', text: `may not ${what} '${subject}': ${textOf(error)}`, todo })
    }
  }
  return findings
}

async function clock({ url }: Surroundings): Promise<Finding[]> {
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) return []
  try {
    const before = Date.now()
    const answer = await fetch(new URL('/healthz', url), { signal: AbortSignal.timeout(TCP_TIMEOUT) })
    const date = answer.headers.get('date')
    if (date === null) return []
    const difference = Math.abs(Date.parse(date) + 500 - (before + Date.now()) / 2)
    if (difference <= MAX_CLOCK_DIFFERENCE + 500) return [{ level: 'ok', text: 'agrees with the server' }]
    const text = `${(difference / 1000).toFixed(1)} s away from the server's`
    return [{ level: 'warn', text, todo: 'set the clocks by NTP' }]
  } catch {
    return []
  }
}

async function tap({ client }: Surroundings): Promise<Finding[]> {
  const start = performance.now()
  try {
    await client!.request(`doctor.${randomId()}.nobody`, null, { timeout: 3000 })
  } catch (error) {
    if (codeOf(error) === 503) {
      return [
        { level: 'ok', text: `nobody listens to everything (${(performance.now() - start).toFixed(1)} ms)` },
      ]
    }
    if (codeOf(error) === 403) return [{ level: 'ok', text: 'not looked for: we may not ask anywhere' }]
    const todo = 'requests to nobody will time out instead of failing at once: look for a subscription to >'
    return [
      { level: 'warn', text: `somebody receives a request to a random subject (${codeOf(error)})`, todo },
    ]
  }
  const todo = 'look for a service that is subscribed to >'
  return [{ level: 'warn', text: 'somebody answers a request to a random subject', todo }]
}

async function roundTrip({ client }: Surroundings): Promise<Finding[]> {
  const echo = await Echo.open(client!)
  const times: number[] = []
  try {
    for (let round = 0; round < ROUND_TRIPS; round += 1) {
      const start = performance.now()
      await client!.request(echo.subject, round, { timeout: 5000 })
      times.push(performance.now() - start)
    }
  } finally {
    await echo.close()
  }
  times.sort((a, b) => a - b)
  return [{ level: 'ok', text: `p50 ${times[49]!.toFixed(2)} ms, p99 ${times[98]!.toFixed(2)} ms` }]
}

async function buffers({ client }: Surroundings): Promise<Finding[]> {
  const echo = await Echo.open(client!)
  const sent = Buffer.alloc(MEGABYTE)
  for (let at = 0; at < sent.length; at += 1) sent[at] = (at * 31) & 0xff
  try {
    const { data } = await client!.request(echo.subject, sent, { timeout: 30_000 })
    if (sent.equals(data as Buffer)) return [{ level: 'ok', text: 'a megabyte each way is unchanged' }]
    const todo = 'a proxy in between changes bytes: use TLS, or go around it'
    return [{ level: 'FAIL', text: 'a megabyte came back changed', todo, ends: false }]
  } catch (error) {
    return [
      {
        level: 'FAIL',
        text: `a megabyte did not come back: ${textOf(error)}`,
        todo: 'check maxMessageBytes',
        ends: false,
      },
    ]
  } finally {
    await echo.close()
  }
}
