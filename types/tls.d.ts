/**
 * selvedge/tls: Node's TLS over streams of `selvedge/net`, end to end: the broker sees ciphertext and lengths.
 *
 * Options, events and codes are those of `node:tls`, with one difference: a stream that ends without TLS's own end
 * (`close_notify`) fails with `ECONNRESET`; in Node it looks complete. docs/guide/net.md has an introduction.
 */

import type { Duplex } from 'node:stream'
import type nodeTls from 'node:tls'
import type {
  ConnectionOptions,
  Server as NodeServer,
  TLSSocket as NodeTLSSocket,
  TlsOptions,
} from 'node:tls'
import type { Client } from '../index'
import type {
  ListenOptions,
  ConnectOptions as NetConnectOptions,
  NetOptions,
  ServerOptions as NetServerOptions,
} from './net'

/** That of `node:tls`. */
export declare const TLSSocket: typeof nodeTls.TLSSocket
/** That of `node:tls`. */
export declare const createSecureContext: typeof nodeTls.createSecureContext
/** That of `node:tls`. */
export declare const checkServerIdentity: typeof nodeTls.checkServerIdentity
/** That of `node:tls`. */
export declare const rootCertificates: typeof nodeTls.rootCertificates
/** That of `node:tls`. */
export declare const getCiphers: typeof nodeTls.getCiphers
/** That of `node:tls`. */
export declare const DEFAULT_CIPHERS: string
/** That of `node:tls`. */
export declare const DEFAULT_ECDH_CURVE: typeof nodeTls.DEFAULT_ECDH_CURVE
/** That of `node:tls`. */
export declare const DEFAULT_MAX_VERSION: typeof nodeTls.DEFAULT_MAX_VERSION
/** That of `node:tls`. */
export declare const DEFAULT_MIN_VERSION: typeof nodeTls.DEFAULT_MIN_VERSION

/** Options of `createServer`: those of `node:tls` and of `selvedge/net`. */
export type ServerOptions = Omit<TlsOptions, keyof NetServerOptions> & NetServerOptions

/** Options of `connect`: those of `node:tls` and of `selvedge/net`. */
export type TlsConnectOptions = Omit<ConnectionOptions, keyof NetConnectOptions | 'socket'> &
  NetConnectOptions & {
    /** The stream to use, instead of a new one to `subject`. */
    socket?: Duplex | undefined
    /**
     * The name that the certificate must be for. @default `host`, else the subject if it could be a DNS name; if it could not,
     * `checkServerIdentity` or `rejectUnauthorized: false` is needed
     */
    servername?: string | undefined
    host?: string | undefined
  }

/** A TLS server on a subject. Keeps the process alive while it listens. */
export declare class Server extends NodeServer {
  constructor(options?: ServerOptions | null, secureConnectionListener?: (socket: NodeTLSSocket) => void)
  /** The subject or pattern, from `listen` to `close`. */
  readonly subject: string | undefined
  /** Errors as `Server.listen` of `selvedge/net`. */
  listen(subject?: string, backlog?: number, listener?: () => void): this
  listen(subject?: string, listener?: () => void): this
  listen(anyPort?: 0, host?: string, backlog?: number, listener?: () => void): this
  listen(anyPort?: 0, host?: string, listener?: () => void): this
  listen(anyPort?: 0, backlog?: number, listener?: () => void): this
  listen(anyPort?: 0, listener?: () => void): this
  listen(options: ListenOptions, listener?: () => void): this
  listen(listener?: () => void): this
  // biome-ignore lint/suspicious/noExplicitAny: that of a server of Node.js, which this is none of: a name, not a port
  address(): any
}

/**
 * Creates a server. It accepts connections once `listen` is called.
 *
 * @throws {Error} as `tls.createServer` of Node and `createServer` of `selvedge/net`
 */
export declare function createServer(secureConnectionListener?: (socket: NodeTLSSocket) => void): Server
export declare function createServer(
  options?: ServerOptions,
  secureConnectionListener?: (socket: NodeTLSSocket) => void,
): Server

/**
 * Connects. Returns a `TLSSocket` of Node's. Its addresses are those of the stream underneath, and it emits `suspend` and
 * `continue` as that does.
 *
 * @throws {Error} `"ERR_INVALID_ARG_VALUE"` there is no name for the certificate; and as `connect` of `selvedge/net`
 * @example
 * const socket = tls.connect('bank.core', { ca, servername: 'core.bank.example' })
 */
export declare function connect(
  subject: string,
  options?: TlsConnectOptions,
  listener?: () => void,
): NodeTLSSocket
export declare function connect(subject: string, listener?: () => void): NodeTLSSocket
export declare function connect(options: TlsConnectOptions, listener?: () => void): NodeTLSSocket

/** The module, bound to a client. */
export interface Tls {
  createServer: typeof createServer
  connect: typeof connect
  Server: typeof Server
  over: typeof over
  TLSSocket: typeof TLSSocket
  createSecureContext: typeof createSecureContext
  checkServerIdentity: typeof checkServerIdentity
  rootCertificates: typeof rootCertificates
  getCiphers: typeof getCiphers
  DEFAULT_CIPHERS: typeof DEFAULT_CIPHERS
  DEFAULT_ECDH_CURVE: typeof DEFAULT_ECDH_CURVE
  DEFAULT_MAX_VERSION: typeof DEFAULT_MAX_VERSION
  DEFAULT_MIN_VERSION: typeof DEFAULT_MIN_VERSION
}

/** Returns the module's functions bound to `client`. @throws {Error} `"ERR_INVALID_ARG_TYPE"` */
export declare function over(client: Client, options?: Pick<NetOptions, 'resolve'>): Tls
