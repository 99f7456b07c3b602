// The proxy of a client: the option, or the environment, in the form that the engine reads.
import { FabricError } from '../values/errors'
import type { Check } from '../values/option-checks'

/** As the engine gets it. */
export interface ProxySettings {
  host: string
  port: number
  /** Speak TLS with the proxy. */
  tls: boolean
  authorization?: string
  /** What `NO_PROXY` says; absent: it is for every server. */
  except?: string
}

/** Checks the option `proxy`. */
export const isProxy: Check = (name, value) => {
  if (value !== false) parsed(name, value)
}

/** Returns the way to a server; `undefined`: straight. A client within the process, or of a file, needs none. */
export function proxySettings(
  option: string | false | undefined,
  address: string | null,
): ProxySettings | undefined {
  if (option === false || address === null || address.startsWith('unix:')) return undefined
  if (option !== undefined) return parsed('proxy', option)
  const found = proxyOfEnvironment(address)
  return found && { ...parsed(found.name, found.url), except: environment('no_proxy')?.value ?? '' }
}

/** Returns the proxy that the environment has for an address, and the variable that says so. */
export function proxyOfEnvironment(address: string): { name: string; url: string } | undefined {
  const found = environment(/^(https|wss|tls):/i.test(address) ? 'https_proxy' : 'http_proxy')
  return found && { name: found.name, url: found.value }
}

/** The name in lower case comes first, as with Node.js and curl. An empty one is none. */
function environment(lower: string): { name: string; value: string } | undefined {
  for (const name of [lower, lower.toUpperCase()]) {
    const value = process.env[name]?.trim()
    if (value) return { name, value }
  }
  return undefined
}

/** Reads `http://user:password@host:port`; without a scheme it is `http`. */
function parsed(name: string, value: unknown): ProxySettings {
  const url = typeof value === 'string' ? read(value) : undefined
  // Without the text, which may hold a password.
  if (url === undefined)
    throw new FabricError(`${name} must be a URL of http or https`, 'ERR_INVALID_ARG_VALUE')
  const tls = url.protocol === 'https:'
  const port = url.port === '' ? (tls ? 443 : 80) : Number(url.port)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const authorization = signIn(url)
  return { host, port, tls, ...(authorization === undefined ? {} : { authorization }) }
}

function read(text: string): URL | undefined {
  try {
    const url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`)
    decodeURIComponent(url.username + url.password)
    return ['http:', 'https:'].includes(url.protocol) && url.hostname !== '' ? url : undefined
  } catch {
    return undefined
  }
}

function signIn({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined
  const both = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return `Basic ${Buffer.from(both).toString('base64')}`
}

/** Returns the option as the application can see it: without user and password. */
export function shownProxy(option: string | false): string | false {
  if (option === false) return false
  return option.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1')
}
