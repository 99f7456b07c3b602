// The checks of `selvedge doctor` on a fabric: who we are there, what we may do, and how well it works.
import { type Client, isValidSubject, isValidSubjectWithoutWildcards, randomId, sysApi } from '../index'
import { open } from './connection'
import { connectionAdvice, messageAdvice, NATS_PAYLOAD } from './doctor-advice'
import type { Check, Finding, Surroundings } from './doctor-findings'
import { Echo } from './echo'
import { codeOf, textOf } from './failure'
import { amount, overview } from './looking'
import { Terminal } from './terminal'

const CLOCK_TIMEOUT = 5000
const MAX_CLOCK_DIFFERENCE = 1000
const ROUND_TRIPS = 100
const MEGABYTE = 1 << 20
/** The default of `max_payload` of a NATS server. */
const NATS_DEFAULT = MEGABYTE
/** What of that headers may take. */
const NATS_HEADERS = 2048
/** The share of a limit above which there is a warning. */
const NEARLY_FULL = 0.8

export const FABRIC_CHECKS: readonly Check[] = [
  { name: 'signin', needs: 'network', look: signIn },
  { name: 'wire', needs: 'network', look: wire },
  { name: 'inbox', needs: 'network', look: inbox },
  { name: 'permissions', needs: 'network', look: permissions },
  { name: 'health', needs: 'network', look: health },
  { name: 'clock', needs: 'network', look: clock },
  { name: 'limits', needs: 'network', look: limits },
  { name: 'tap', needs: 'network', look: tap },
  { name: 'roundtrip', needs: 'network', look: roundTrip },
  { name: 'buffers', needs: 'network', look: buffers },
]

async function signIn(around: Surroundings): Promise<Finding[]> {
  try {
    const { timeout } = around.options
    // As a user: the system account may do what the user may not.
    const { systemPasswordFile: _, ...asUser } = around.options
    const client = await open({ ...asUser, retry: false, timeout: Math.min(timeout, 10_000) }, quiet)
    around.client = client
    around.closing.push(() => client.close())
    const user = client.info?.user
    return [{ level: 'ok', text: user == null ? 'signed in' : `signed in as ${JSON.stringify(user)}` }]
  } catch (error) {
    const code = codeOf(error)
    const text = code === undefined ? textOf(error) : `${textOf(error)} (${code})`
    return [{ level: 'FAIL', text, todo: connectionAdvice(error, around) }]
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

async function inbox(around: Surroundings): Promise<Finding[]> {
  const { client } = around
  const echo = await Echo.open(client!)
  try {
    const { data } = await client!.request(echo.subject, 'hello', { timeout: 5000 })
    if (data === 'hello') return [{ level: 'ok', text: 'a request to ourselves comes back' }]
    const todo = 'look for a proxy in between'
    return [{ level: 'FAIL', text: 'a request came back changed', todo, ends: false }]
  } catch (error) {
    const permission = 'the user needs permission to subscribe to its inbox, and to publish to others'
    const todo = messageAdvice(error, around, permission)
    return [{ level: 'FAIL', text: textOf(error), todo, ends: false }]
  } finally {
    await echo.close()
  }
}

async function permissions({ client, options }: Surroundings): Promise<Finding[]> {
  const { subject } = options
  if (subject === undefined || !isValidSubject(subject)) return []
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
  const isPattern = !isValidSubjectWithoutWildcards(subject)
  for (const [what, attempt] of tries) {
    if (isPattern && what !== 'subscribe to') continue
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

/** What the broker says of itself. */
async function health({ url }: Surroundings): Promise<Finding[]> {
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) return []
  try {
    const answer = await fetch(new URL('/healthz', url), { signal: AbortSignal.timeout(CLOCK_TIMEOUT) })
    if (answer.status === 200) return [{ level: 'ok', text: 'the broker says that it is well' }]
    if (answer.status !== 503) return []
    const todo = 'it drains, or the fabric that it is a gateway of is away: see what it says on stderr'
    return [{ level: 'FAIL', text: `the broker says: ${(await answer.text()).trim()}`, todo, ends: false }]
  } catch {
    return []
  }
}

async function clock({ url }: Surroundings): Promise<Finding[]> {
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) return []
  try {
    const before = Date.now()
    const answer = await fetch(new URL('/healthz', url), { signal: AbortSignal.timeout(CLOCK_TIMEOUT) })
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

/** What a broker tells everybody of its limits, and its system account of what is used of them. */
async function limits({ client, options }: Surroundings): Promise<Finding[]> {
  const known = payloadOf(client!)
  if (options.systemPasswordFile === undefined) return known
  let system: Client | undefined
  try {
    system = await open({ ...options, retry: false, timeout: Math.min(options.timeout, 10_000) }, quiet)
    const { totals, limits: most } = await overview(sysApi(system, { timeout: 5000 }))
    const connections = `${totals.connections} of ${most.maxConnections} connections`
    const memory = `${amount(totals.memoryBytes)}B of ${amount(most.maxMemoryBytes)}B memory`
    return [
      ...known,
      used(connections, totals.connections / most.maxConnections, 'maxConnections'),
      used(memory, totals.memoryBytes / most.maxMemoryBytes, 'maxMemoryBytes'),
    ]
  } catch (error) {
    const isThere = codeOf(error) !== 503
    const text = isThere ? `the system account: ${textOf(error)}` : 'the broker has no system account'
    const todo = isThere
      ? 'check the file of --system-password-file'
      : 'start the broker with --system-password-file (systemAccountPassword)'
    return [...known, { level: 'FAIL', text, todo, ends: false }]
  } finally {
    await system?.close()
  }
}

/** How large a message may be. */
function payloadOf({ info, wire }: Client): Finding[] {
  const payload = info?.max_payload
  if (typeof payload !== 'number') return []
  const most = `${amount(payload)}B a message`
  if (wire !== 'nats') return [{ level: 'ok', text: `${most} in one piece; larger ones go in several` }]
  const text = `${most} at most`
  return payload < NATS_DEFAULT ? [{ level: 'warn', text, todo: NATS_PAYLOAD }] : [{ level: 'ok', text }]
}

function used(text: string, share: number, option: string): Finding {
  if (share < NEARLY_FULL) return { level: 'ok', text }
  return { level: 'warn', text, todo: `raise ${option}, or look with netstat for who has most of it` }
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
    if (codeOf(error) === 'ERR_TOO_LARGE') return []
    const todo =
      'requests to nobody time out instead of failing at once: the broker is a gateway whose NATS is away, as it says on stderr, or somebody is subscribed to >'
    return [
      { level: 'warn', text: `a request to a random subject has no answer at all (${codeOf(error)})`, todo },
    ]
  }
  const todo = 'look for a service that is subscribed to >'
  return [{ level: 'warn', text: 'somebody answers a request to a random subject', todo }]
}

async function roundTrip(around: Surroundings): Promise<Finding[]> {
  const { client } = around
  const echo = await Echo.open(client!)
  const times: number[] = []
  try {
    for (let round = 0; round < ROUND_TRIPS; round += 1) {
      const start = performance.now()
      await client!.request(echo.subject, round, { timeout: 5000 })
      times.push(performance.now() - start)
    }
  } catch (error) {
    const todo = messageAdvice(error, around, 'look for a broker, or a proxy, that is overloaded')
    return [{ level: 'FAIL', text: textOf(error), todo, ends: false }]
  } finally {
    await echo.close()
  }
  times.sort((a, b) => a - b)
  return [{ level: 'ok', text: `p50 ${times[49]!.toFixed(2)} ms, p99 ${times[98]!.toFixed(2)} ms` }]
}

async function buffers(around: Surroundings): Promise<Finding[]> {
  const { client } = around
  const echo = await Echo.open(client!)
  const payload = client?.wire === 'nats' ? Number(client.info?.max_payload) : Number.POSITIVE_INFINITY
  const sent = Buffer.alloc(Math.max(1, Math.min(MEGABYTE, payload - NATS_HEADERS)))
  const what = sent.length === MEGABYTE ? 'a megabyte' : `${amount(sent.length)}B`
  for (let at = 0; at < sent.length; at += 1) sent[at] = (at * 31) & 0xff
  try {
    const { data } = await client!.request(echo.subject, sent, { timeout: 30_000 })
    if (sent.equals(data as Buffer)) return [{ level: 'ok', text: `${what} each way is unchanged` }]
    const todo = 'a proxy in between changes bytes: use TLS, or go around it'
    return [{ level: 'FAIL', text: `${what} came back changed`, todo, ends: false }]
  } catch (error) {
    return [
      {
        level: 'FAIL',
        text: `${what} did not come back: ${textOf(error)}`,
        todo: messageAdvice(error, around, 'check maxMessageBytes'),
        ends: false,
      },
    ]
  } finally {
    await echo.close()
  }
}
