// The module's functions, bound to a client or to the one of the process. TLS is Node's, on our sockets.
import type { Duplex } from 'node:stream'
import nodeTls, { type TLSSocket } from 'node:tls'
import type { ServerOptions, Tls, TlsConnectOptions } from '../../types/tls'
import { argValue } from '../net/errors'
import { connectArguments } from '../net/options'
import { Socket } from '../net/socket'
import { type Binding, bindingOf, bound, callable } from '../net/surface'
import { beginHandshake, endHandshake } from '../net/tls-turns'
import { complete } from './securing'
import { Server } from './server'

/** A subject that is a name of DNS, too. */
const DNS_NAME = /^(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/i

export function over(client: unknown, options?: object): Tls {
  return surfaceOf(bindingOf(client, options))
}

function surfaceOf(binding: Binding): Tls {
  const connect = (...args: unknown[]): TLSSocket => {
    const { options, listener } = connectArguments(args)
    const given = options as TlsConnectOptions
    const { socket } = given
    if (socket !== undefined) {
      const settings = { ...given, path: undefined } as nodeTls.ConnectionOptions
      if (!(socket instanceof Socket)) return nodeTls.connect(settings, listener)
      const secure = begun(settings, socket, listener)
      complete(secure, socket)
      if (socket.connecting) followConnect(secure, socket)
      return secure
    }
    const servername = nameOf(given)
    const all = bound(binding, given)
    const below = new Socket({ ...all, onread: undefined, allowHalfOpen: true }).connect({ ...all })
    const { signal: _, timeout, ...rest } = given
    const settings = {
      ...rest,
      servername,
      socket: below as Duplex,
      host: undefined,
      port: undefined,
      path: undefined,
    }
    const secure = secured(settings as unknown as nodeTls.ConnectionOptions, below, listener)
    if (timeout) secure.setTimeout(timeout)
    for (const name of ['connect', 'ready']) below.once(name, () => secure.emit(name))
    below.once('lookup', (...found: unknown[]) => secure.emit('lookup', ...found))
    return secure
  }
  const serverArguments = ([options, listener]: unknown[]) =>
    typeof options === 'function' ? [{ ...binding }, options] : [bound(binding, options), listener]
  const createServer = (options?: ServerOptions, listener?: (socket: TLSSocket) => void): Server =>
    new Server(...(serverArguments([options, listener]) as [ServerOptions, (socket: TLSSocket) => void]))
  return {
    connect,
    createServer,
    Server: callable(Server, serverArguments),
    over,
    TLSSocket: nodeTls.TLSSocket,
    createSecureContext: nodeTls.createSecureContext,
    checkServerIdentity: nodeTls.checkServerIdentity,
    rootCertificates: nodeTls.rootCertificates,
    getCiphers: nodeTls.getCiphers,
    DEFAULT_CIPHERS: nodeTls.DEFAULT_CIPHERS,
    DEFAULT_ECDH_CURVE: nodeTls.DEFAULT_ECDH_CURVE,
    DEFAULT_MAX_VERSION: nodeTls.DEFAULT_MAX_VERSION,
    DEFAULT_MIN_VERSION: nodeTls.DEFAULT_MIN_VERSION,
  } as unknown as Tls
}

/** Starts TLS on a stream; what is wrong with its options leaves no stream behind. */
function secured(options: nodeTls.ConnectionOptions, below: Socket, listener?: () => void): TLSSocket {
  let secure: TLSSocket
  try {
    secure = begun(options, below, listener)
  } catch (error) {
    below.on('error', () => {}).destroy()
    throw error
  }
  complete(secure, below, Boolean((options as { allowHalfOpen?: boolean }).allowHalfOpen))
  showConnecting(secure, below)
  return secure
}

/** TLS of Node's, whose handshake begins on `below`. */
function begun(options: nodeTls.ConnectionOptions, below: Socket, listener?: () => void): TLSSocket {
  beginHandshake(below)
  try {
    const secure = nodeTls.connect(options)
    secure.once('secureConnect', () => endHandshake(below))
    if (listener !== undefined) secure.once('secureConnect', listener)
    return secure
  } catch (error) {
    endHandshake(below)
    throw error
  }
}

/** As Node's: writes wait for the connect, and are told if it fails. */
function showConnecting(secure: TLSSocket, below: Socket): void {
  Object.defineProperty(secure, 'connecting', {
    get: () => below.connecting,
    set: () => {},
    configurable: true,
  })
}

/** The stream that was given is about to connect. */
function followConnect(secure: TLSSocket, below: Socket): void {
  showConnecting(secure, below)
  below.once('connect', () => secure.emit('connect'))
}

/** The name that the certificate must be for: never `localhost` by silence. */
function nameOf({
  servername,
  host,
  subject,
  checkServerIdentity,
  rejectUnauthorized,
}: TlsConnectOptions): string {
  const name = servername ?? host
  if (name !== undefined) return name
  if (subject !== undefined && DNS_NAME.test(subject)) return subject
  if (checkServerIdentity === undefined && rejectUnauthorized !== false) {
    throw argValue('options.servername', servername, `is needed: '${subject}' is no name of DNS`)
  }
  return ''
}

const { connect, createServer, Server: TlsServer } = surfaceOf({})

export { connect, createServer, TlsServer as Server }
