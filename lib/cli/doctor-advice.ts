// What `selvedge doctor` says of a connection that could not be made, and of messages that are too large.
import { OVER_LIMIT } from './connection'
import type { Surroundings } from './doctor-findings'
import { codeOf, textOf } from './failure'

/** Returns what to do about a connection that was refused, or never made. */
export function connectionAdvice(error: unknown, { url, options }: Surroundings): string {
  switch (codeOf(error)) {
    case OVER_LIMIT:
      return 'raise maxConnections (--max-connections) of the broker, or the limit that it names; netstat shows who has most'
    case 'ERR_SIGN_IN':
    case 403:
      return 'check --user, --password-file or --token-file'
    case 'ERR_TLS_REQUIRED':
      return `the port speaks TLS: give --server ${withTls(url)}`
    case 'ERR_TLS_CLIENT_CERTIFICATE':
      if (options.cert === undefined)
        return 'give --cert and --key, signed by an authority that the broker trusts'
      return 'the certificate of --cert is not signed by an authority that the broker trusts, or is over: get another one'
  }
  const text = textOf(error)
  const variable = url && proxyFor(url)
  if (variable !== undefined && text.includes('the proxy')) {
    return `mend ${variable}, or the proxy that it names; or list the server in NO_PROXY`
  }
  if (/http \d{3}/.test(text))
    return 'another program answers there, or at another path: check the port and --path'
  return 'something answers there that is no broker: check the port'
}

function withTls(url: URL | undefined): string {
  return url === undefined ? 'https://HOST:PORT' : `${url.protocol === 'ws:' ? 'wss' : 'https'}://${url.host}`
}

/** Returns the variable that names a proxy for a server. */
export function proxyFor(url: URL): string | undefined {
  if (/^(127\.|\[::1\]$|(.*\.)?localhost$)/.test(url.hostname)) return undefined
  const lower = /^(https|wss|tls):$/.test(url.protocol) ? 'https_proxy' : 'http_proxy'
  return [lower, lower.toUpperCase()].find(name => (process.env[name] ?? '') !== '')
}

/** Returns what to do about a message that did not pass. */
export function messageAdvice(error: unknown, { client }: Surroundings, otherwise: string): string {
  if (codeOf(error) !== 'ERR_TOO_LARGE') return otherwise
  return client?.wire === 'nats' ? NATS_PAYLOAD : 'raise maxMessageBytes of the broker'
}

export const NATS_PAYLOAD = 'raise max_payload in the configuration of the NATS server; its default is 1MB'
