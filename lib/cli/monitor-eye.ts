// Looks into a broker through its monitor, as its page does: over HTTP, without an account of the fabric.
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { BrokerOverview, ConnectionPage, ConnectionQuery, SocketPage, SocketQuery } from '../../index'
import { addressOf, type CommonOptions, file, secret } from './connection'
import { CommandError, EXIT, UsageError } from './failure'

/** What shows a broker: its monitor, or its system service. */
export interface Eye {
  overview(): Promise<BrokerOverview>
  connections(query: ConnectionQuery): Promise<ConnectionPage>
  sockets(query: SocketQuery): Promise<SocketPage>
}

export interface EyeOptions extends CommonOptions {
  monitorPasswordFile?: string
}

const HTTP: Readonly<Record<string, string>> = {
  'http:': 'http:',
  'ws:': 'http:',
  'https:': 'https:',
  'wss:': 'https:',
}
/** More than any answer has: a page has at most 500 rows. */
const MAX_ANSWER = 16 * 1024 * 1024
/** How long a monitor is waited for that nobody has asked for, in ms. */
const MAX_TRY = 5000
const WITH_MONITOR = 'a broker answers that is started with --monitor or --monitor-password-file'

/**
 * Returns what the monitor of the broker shows. Without a password of it: nothing where it does not answer, for whatever
 * reason, as it does not without --monitor, or from elsewhere.
 */
export async function monitorOf(options: EyeOptions): Promise<Eye | undefined> {
  const { monitorPasswordFile: name } = options
  const place = placeOf(options)
  if (place === undefined) {
    if (name === undefined) return undefined
    throw new UsageError(
      '--monitor-password-file needs a --server of http, https or unix: NATS has no monitor',
    )
  }
  const password = name === undefined ? undefined : secret(name, '--monitor-password-file')
  const ask = (method: string, query: object): Promise<unknown> =>
    get(place, options, password, method, query)
  const eye: Eye = {
    async overview() {
      // Without its history, which nobody here draws.
      const answer = await ask('overview', { since: Number.MAX_SAFE_INTEGER })
      const { counts, rates, lastMinute, history, actions, ...rest } = answer as Record<string, unknown>
      return rest as unknown as BrokerOverview
    },
    connections: async query => (await ask('connections', query)) as ConnectionPage,
    sockets: async query => (await ask('sockets', query)) as SocketPage,
  }
  if (password !== undefined) return eye
  return await eye.overview().then(
    () => eye,
    () => undefined,
  )
}

interface Place {
  readonly isEncrypted: boolean
  readonly to: { readonly socketPath: string } | { readonly hostname: string; readonly port: string }
}

function placeOf(options: CommonOptions): Place | undefined {
  const { address } = addressOf(options)
  if (address.startsWith('unix:')) {
    return { isEncrypted: false, to: { socketPath: address.slice('unix:'.length).replace(/^\/\//, '') } }
  }
  if (!URL.canParse(address)) return undefined
  const { protocol, hostname, port } = new URL(address)
  const known = HTTP[protocol]
  if (known === undefined) return undefined
  // IPv6 without its brackets.
  return { isEncrypted: known === 'https:', to: { hostname: hostname.replace(/^\[|\]$/g, ''), port } }
}

async function get(
  { isEncrypted, to }: Place,
  options: CommonOptions,
  password: string | undefined,
  method: string,
  query: object,
): Promise<unknown> {
  const parameters = new URLSearchParams(
    Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
  )
  const Authorization = `Basic ${Buffer.from(`:${password}`).toString('base64')}`
  const request = (isEncrypted ? requestHttps : requestHttp)({
    ...to,
    path: `/monitor/api/${method}?${parameters}`,
    headers: password === undefined ? {} : { Authorization },
    signal: AbortSignal.timeout(
      password === undefined ? Math.min(options.timeout, MAX_TRY) : options.timeout,
    ),
    ...(isEncrypted ? tlsOf(options) : {}),
  })
  const { status, body } = await new Promise<{ status: number; body: string }>((resolve, reject) => {
    request.on('error', reject).on('response', async response => {
      try {
        const parts: Buffer[] = []
        let bytes = 0
        for await (const part of response as AsyncIterable<Buffer>) {
          bytes += part.length
          if (bytes > MAX_ANSWER) throw Error(`the monitor's answer has more than ${MAX_ANSWER} bytes`)
          parts.push(part)
        }
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() })
      } catch (error) {
        request.destroy()
        reject(error)
      }
    })
    request.end()
  }).catch(reason => {
    const isLate = ['AbortError', 'TimeoutError'].includes((reason as Error).name)
    throw new CommandError(isLate ? Error('the monitor has not answered in time') : reason, {
      exit: isLate ? EXIT.timeout : EXIT.connection,
      hint: `selvedge doctor --server ${addressOf(options).address}`,
    })
  })
  if (status === 200) return answerOf(body)
  throw refusal(status, body)
}

function tlsOf({ ca, cert, key, insecure }: CommonOptions): object {
  return {
    ...(ca === undefined ? {} : { ca: file(ca, '--ca') }),
    ...(cert === undefined ? {} : { cert: file(cert, '--cert') }),
    ...(key === undefined ? {} : { key: file(key, '--key') }),
    ...(insecure === true ? { rejectUnauthorized: false } : {}),
  }
}

/** Something else may listen there. */
function answerOf(body: string): unknown {
  try {
    const answer: unknown = JSON.parse(body)
    const isKnown = typeof answer === 'object' && answer !== null && ('totals' in answer || 'rows' in answer)
    if (isKnown) return answer
  } catch {
    // Told below.
  }
  throw new CommandError(Error('what answers there is no monitor of selvedge'), {
    exit: EXIT.connection,
    hint: WITH_MONITOR,
  })
}

function refusal(status: number, body: string): CommandError {
  const told = (text: string): Error => Object.assign(Error(`the monitor: ${text}`), { code: status })
  if (status === 404) {
    return new CommandError(told('there is none'), { exit: EXIT.nobody, hint: WITH_MONITOR })
  }
  const [line = ''] = body.split('\n')
  const exit = [401, 403, 429].includes(status) ? EXIT.permission : EXIT.failed
  return new CommandError(told(line || `answered ${status}`), { exit })
}
