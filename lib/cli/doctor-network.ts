// The checks of `selvedge doctor` below the fabric: Node.js, names, TCP, proxies and TLS.
import { lookup } from 'node:dns/promises'
import { connect as dial, isIP } from 'node:net'
import { connect as dialTls } from 'node:tls'
import { isValidSubject } from '../index'
import { type CommonOptions, file } from './connection'
import { proxyFor } from './doctor-advice'
import type { Check, Finding, Surroundings } from './doctor-findings'
import { codeOf, textOf } from './failure'
import { inPlaceOfSocket } from './unix-path'
import { version } from './version'

const DAY = 86_400_000
const EXPIRES_SOON = 14 * DAY
const TCP_TIMEOUT = 5000
const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  'http:': 80,
  'https:': 443,
  'ws:': 80,
  'wss:': 443,
  'nats:': 4222,
  'tls:': 4222,
}

export const NETWORK_CHECKS: readonly Check[] = [
  { name: 'node', needs: 'nothing', look: node },
  { name: 'address', needs: 'nothing', look: address },
  { name: 'options', needs: 'nothing', look: given },
  { name: 'dns', needs: 'network', look: dns },
  { name: 'proxy', needs: 'nothing', look: proxy },
  { name: 'tcp', needs: 'network', look: tcp },
  { name: 'tls', needs: 'network', look: tls },
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
    const isPath = around.address.startsWith('.')
    const todo = isPath ? `give --server unix:${around.address}` : 'give --server http://HOST:PORT'
    return [{ level: 'FAIL', text: `'${around.address}' is no URL`, todo }]
  }
  if (!(around.url.protocol in DEFAULT_PORTS)) {
    const text = `'${around.address}' has the unknown scheme '${around.url.protocol.slice(0, -1)}'`
    return [{ level: 'FAIL', text, todo: 'use http, https, ws, wss, nats, tls or unix' }]
  }
  return [{ level: 'ok', text: around.url.host }]
}

const FILES = [
  ['passwordFile', '--password-file'],
  ['tokenFile', '--token-file'],
  ['systemPasswordFile', '--system-password-file'],
  ['ca', '--ca'],
  ['cert', '--cert'],
  ['key', '--key'],
] as const satisfies readonly (readonly [keyof CommonOptions, string])[]

/** The files and the subject that were named. */
async function given({ options }: Surroundings): Promise<Finding[]> {
  const findings: Finding[] = []
  const fail = (text: string, todo: string, ends = true): void =>
    void findings.push({ level: 'FAIL', text, todo, ends })
  for (const [name, option] of FILES) {
    const path = options[name]
    try {
      if (path !== undefined) file(path, option)
    } catch (error) {
      fail(textOf(error), 'name a file that is there, and that you may read')
    }
  }
  if ((options.cert === undefined) !== (options.key === undefined))
    fail('--cert and --key go together', 'give both')
  if (options.user !== undefined && options.passwordFile === undefined && process.stdin.isTTY !== true)
    fail('--user has no password', 'give --password-file')
  const { subject } = options
  if (subject !== undefined && !isValidSubject(subject)) {
    const todo = 'name tokens with single dots between them, without spaces'
    fail(`'${subject}' of --subject is no subject`, todo, false)
  }
  return findings
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

const PORT_ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there: start a broker (selvedge broker), or check the port',
}
const FILE_ADVICE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket: start a broker (selvedge broker --unix PATH), or check the path',
  ECONNREFUSED: 'nothing listens at it any more: start the broker again, or check the path',
  EACCES: 'this user may not open it: run as the user of the broker, or give it another socketMode',
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
      const code = String(codeOf(error))
      const other = target.path !== undefined ? inPlaceOfSocket(target.path, 'connects') : undefined
      if (other !== undefined) {
        const todo = `${other} is at that path, and no socket: check the path`
        return done({ level: 'FAIL', text: code, todo })
      }
      const todo = (url === undefined ? FILE_ADVICE : PORT_ADVICE)[code] ?? 'check the network'
      done(straightFailure(url, code, todo))
    })
  })
}

async function tls({ url, options }: Surroundings): Promise<Finding[]> {
  if (url === undefined || !['https:', 'wss:'].includes(url.protocol))
    return [{ level: 'ok', text: 'not used' }]
  const ca = options.ca === undefined ? {} : { ca: file(options.ca, '--ca') }
  return new Promise(resolve => {
    const host = hostOf(url)
    const name = isIP(host) === 0 ? { servername: host } : {}
    const socket = dialTls({ host, port: portOf(url), rejectUnauthorized: false, ...name, ...ca })
    socket.setTimeout(TCP_TIMEOUT, () => socket.destroy(Error('no answer to the TLS handshake')))
    socket.on('secureConnect', () => {
      const { valid_to: until, subjectaltname: names = 'no name' } = socket.getPeerCertificate()
      const left = Date.parse(until) - Date.now()
      const text = `${socket.getProtocol()}, the certificate is valid until ${until}`
      const refusal = socket.authorizationError as unknown as string | undefined
      socket.destroy()
      if (left <= 0 && options.insecure !== true) {
        const expired = `the certificate was valid until ${until}`
        resolve([{ level: 'FAIL', text: expired, todo: 'renew the certificate, or check the clocks' }])
      } else if (/ALTNAME_INVALID$/.test(refusal ?? '') && options.insecure !== true) {
        const text = `the certificate is for ${names}, and not for '${host}'`
        const todo = 'connect by a name that it has, or get one for this name'
        resolve([{ level: 'FAIL', text, todo }])
      } else if (refusal != null && options.insecure !== true) {
        const todo = `trust its authority with --ca, or mend the certificate (${refusal})`
        resolve([{ level: 'FAIL', text: 'the certificate is not trusted', todo }])
      } else if (left < EXPIRES_SOON) {
        resolve([{ level: 'warn', text, todo: 'renew the certificate' }])
      } else resolve([{ level: 'ok', text }])
    })
    socket.on('error', error => {
      const isPlain = /wrong version number|packet length too long/.test(textOf(error))
      const plain = url.protocol === 'wss:' ? 'ws' : 'http'
      const todo = isPlain ? `give --server ${plain}://${url.host}` : 'check what listens there, and its log'
      resolve([straightFailure(url, isPlain ? 'the port speaks no TLS' : textOf(error).trim(), todo)])
    })
  })
}
