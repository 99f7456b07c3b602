// TLS options in the form of Node.js, converted for the engine: PEM texts, decrypted keys, trusted
// authorities.
import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import tls from 'node:tls'
import { types } from 'node:util'
import type { ConatServer, ConnectOptions, Pem, TlsServerOptions } from '../../index'
import { FabricError, invalidType, invalidValue } from '../values/errors'
import {
  type Check,
  checkOptions,
  forEngine,
  isBoolean,
  isString,
  type ShapeOf,
} from '../values/option-checks'
import { native } from './native'

export type SecureContextOptions = Parameters<ConatServer['setSecureContext']>[0]
type TlsClientOptions = Pick<ConnectOptions, keyof typeof TLS_CLIENT_SHAPE>

const isPem: Check = (name, value) => {
  if (typeof value !== 'string' && !types.isUint8Array(value))
    throw invalidType(name, 'a string or a Buffer', value)
}

const isPems: Check = (name, value) => {
  if (!Array.isArray(value)) return isPem(name, value)
  for (const [index, item] of value.entries()) isPem(`${name}[${index}]`, item)
}

const isVersion: Check = (name, value) => {
  if (value !== 'TLSv1.2' && value !== 'TLSv1.3') throw invalidValue(name, "'TLSv1.2' or 'TLSv1.3'", value)
}

const MATERIAL = { key: isPem, cert: isPem, ca: isPems, passphrase: isString }

/** Verification, in the part `tls` of what the engine gets. */
const VERIFICATION = {
  rejectUnauthorized: { check: isBoolean, default: true, engine: 'tls' },
  minVersion: { check: isVersion, default: 'TLSv1.2', engine: 'tls' },
} as const

export const TLS_CLIENT_SHAPE = {
  ...MATERIAL,
  ...VERIFICATION,
  servername: { check: isString, engine: 'tls' },
} as const

export const TLS_SERVER_SHAPE = {
  ...MATERIAL,
  ...VERIFICATION,
  requestCert: { check: isBoolean, default: false, engine: 'tls' },
} as const satisfies ShapeOf<TlsServerOptions>

/** TLS options as the engine gets them: texts. */
type Settings = Record<string, unknown>

/** Converts the option `ssl` of a broker; `true` means that its HTTP server does TLS. */
export const isSsl: Check = (name, value) => {
  if (typeof value === 'boolean') return
  if (value === null || typeof value !== 'object') throw invalidType(name, 'a boolean or an object', value)
  checkOptions(name, value, TLS_SERVER_SHAPE)
}

/** `where`: as errors call the options. */
export function serverSettings(options: TlsServerOptions, where = 'ssl'): Settings {
  return { ...material(where, options), ...forEngine(options, TLS_SERVER_SHAPE, 'tls') }
}

export function secureContextSettings(options: SecureContextOptions): Settings {
  checkOptions('setSecureContext', options, MATERIAL)
  return material('setSecureContext', options ?? {})
}

/** Converts the options of a client that uses TLS. */
export function clientSettings(options: TlsClientOptions): Settings {
  const { ca, cert, key, passphrase } = options
  if ((cert === undefined) !== (key === undefined)) {
    throw new FabricError('cert and key go together', 'ERR_INVALID_ARG_VALUE')
  }
  if (ca === undefined && options.rejectUnauthorized !== false) trustAsNodeDoes()
  return {
    ca: ca === undefined ? undefined : text(ca),
    cert: cert && text(cert),
    key: key && openKey('connect', key, passphrase),
    ...forEngine(options, TLS_CLIENT_SHAPE, 'tls'),
  }
}

function material(where: string, options: TlsServerOptions): Settings {
  const { key, cert, ca, passphrase } = options
  if (key === undefined || cert === undefined) {
    throw new FabricError(`${where} needs key and cert`, 'ERR_INVALID_ARG_VALUE')
  }
  return {
    key: openKey(where, key, passphrase),
    cert: text(cert),
    ca: ca === undefined ? undefined : text(ca),
  }
}

function text(pem: Pem | readonly Pem[]): string {
  const parts: readonly Pem[] = typeof pem === 'string' || types.isUint8Array(pem) ? [pem] : pem
  return parts
    .map(part => (typeof part === 'string' ? part : Buffer.from(part).toString('latin1')))
    .join('\n')
}

/** Converts any form of key that Node.js reads to the one that the engine reads. */
function openKey(where: string, key: Pem, passphrase: string | undefined): string {
  try {
    const opened = createPrivateKey({ key: text(key), passphrase })
    return opened.export({ type: 'pkcs8', format: 'pem' }).toString()
  } catch (cause) {
    const code = 'ERR_INVALID_ARG_VALUE'
    throw new FabricError(`${where}: key is not a private key in PEM, or its passphrase is wrong`, code, {
      cause,
    })
  }
}

let hasTrust = false

/** Passes the authorities that Node.js trusts to the engine, for clients without `ca`. */
function trustAsNodeDoes(): void {
  if (hasTrust) return
  hasTrust = true
  const all = 'getCACertificates' in tls ? newer(tls) : [...tls.rootCertificates, ...extra()]
  native.trust(all.join('\n'))
}

/** Since Node.js 22.15 this includes `NODE_EXTRA_CA_CERTS` and `--use-system-ca`. */
function newer(module: object): string[] {
  return (module as { getCACertificates(type: 'default'): string[] }).getCACertificates('default')
}

function extra(): string[] {
  const file = process.env.NODE_EXTRA_CA_CERTS
  if (!file) return []
  try {
    return [readFileSync(file, 'latin1')]
  } catch {
    // Node.js has warned about it at startup.
    return []
  }
}
