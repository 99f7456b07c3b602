// The module's functions and classes, bound to a client or to the one of the process.
import { BlockList, isIP, isIPv4, isIPv6, SocketAddress } from 'node:net'
import type { Duplex } from 'node:stream'
import type {
  AgentOptions,
  ConnectOptions,
  ExposeOptions,
  ForwardOptions,
  ListenOptions,
  Net,
  NetOptions,
  NodePlace,
  Server as ServerContract,
  ServerOptions,
  ServeTarget,
  Socket as SocketContract,
} from '../../types/net'
import { Client } from '../client/client'
import { agentOf } from './agent'
import { argType, argValue } from './errors'
import { checkPlace, ExposingServer } from './expose'
import { type ForwardingServer, forwardTo } from './forward'
import { checkSubject, connectArguments, joinedOptions } from './options'
import { serverFor } from './serve'
import { Server as UnboundServer } from './server'
import { Socket as UnboundSocket } from './socket'
import { netstat, sockets } from './table'

/** What a module is bound to. */
export type Binding = Pick<NetOptions, 'client' | 'resolve'>

type Listener = (socket: UnboundSocket) => void

/** Binds the whole module to a client. */
export function over(client: unknown, options?: Pick<NetOptions, 'resolve'>): Net {
  return surfaceOf(bindingOf(client, options))
}

/** Checks what a module is to be bound to. */
export function bindingOf(client: unknown, options: Pick<NetOptions, 'resolve'> = {}): Binding {
  if (!(client instanceof Client)) {
    throw argType('client', 'an instance of Client, such as connect() or broker.client() returns', client)
  }
  const { resolve } = options
  if (resolve !== undefined && typeof resolve !== 'function') {
    throw argType('options.resolve', 'of type function', resolve)
  }
  return resolve === undefined ? { client } : { client, resolve }
}

/** Adds what a module is bound to, unless the call says otherwise. What is no options stays what it is. */
export function bound<Options>(binding: Binding, options: Options): Options {
  if (options === undefined || options === null) return { ...binding } as Options
  return typeof options === 'object' ? joinedOptions(binding, options as object as Options & object) : options
}

/** Makes a class that can be called without `new`, as Node's can, and knows what its module is bound to. */
// biome-ignore lint/suspicious/noExplicitAny: TypeScript asks it of a class that is extended
export function callable<Class extends new (...args: any[]) => object>(
  made: Class,
  prepare: (args: unknown[]) => unknown[],
): Class {
  return new Proxy(made, {
    construct: (target, args, newTarget) => Reflect.construct(target, prepare(args), newTarget) as object,
    apply: (target, _this, args) => Reflect.construct(target, prepare(args)) as object,
  })
}

function surfaceOf(binding: Binding): Net {
  const socketArguments = ([options, ...rest]: unknown[]) => [bound(binding, options), ...rest]
  const serverArguments = ([options, listener]: unknown[]) =>
    typeof options === 'function' ? [{ ...binding }, options] : [bound(binding, options), listener]
  const connect = (...args: unknown[]): UnboundSocket => {
    const { options } = connectArguments(args)
    const socket = new UnboundSocket(bound<ConnectOptions>(binding, options))
    if (options.timeout) socket.setTimeout(options.timeout)
    return socket.connect(...args)
  }
  const createServer = (options?: ServerOptions | Listener, listener?: Listener): UnboundServer =>
    new UnboundServer(...(serverArguments([options, listener]) as [ServerOptions, Listener]))
  const expose = (
    subject: string,
    target: NodePlace | ((socket: UnboundSocket) => Duplex),
    options?: ExposeOptions,
  ): ExposingServer => {
    checkChosen(subject)
    if (typeof target !== 'function') checkPlace('target', target)
    const all = bound<ExposeOptions>(binding, options as ExposeOptions)
    return new ExposingServer(target, all).listen({ ...listenOptions(all), subject })
  }
  const forward = (subject: string, place: NodePlace, options?: ForwardOptions): ForwardingServer => {
    checkSubject('subject', subject)
    checkPlace('place', place)
    return forwardTo(subject, place, bound<ForwardOptions>(binding, options as ForwardOptions))
  }
  const serve = (
    subject: string,
    target: ServeTarget,
    options?: ServerOptions & ListenOptions,
  ): UnboundServer => {
    checkChosen(subject)
    const all = bound<ServerOptions & ListenOptions>(binding, options as ServerOptions)
    return serverFor(target, all).listen({ ...listenOptions(all), subject })
  }
  const agent = (options: AgentOptions) => agentOf(bound(binding, options))
  const BoundSocket = callable(UnboundSocket, socketArguments) as unknown as typeof SocketContract
  const all = {
    createServer,
    connect,
    createConnection: connect,
    Server: callable(UnboundServer, serverArguments) as unknown as typeof ServerContract,
    Socket: BoundSocket,
    Stream: BoundSocket,
    over,
    expose,
    forward,
    serve,
    agent,
    sockets,
    netstat,
    isIP,
    isIPv4,
    isIPv6,
    BlockList,
    SocketAddress,
  }
  return all as unknown as Net
}

/** `listen` takes an empty subject for any; from a caller that says one it is a variable that was not set. */
function checkChosen(subject: unknown): void {
  if (subject === '') throw argValue('subject', subject)
}

/** What of an option bag `listen` understands. */
function listenOptions({ backlog, reusePort, signal }: ListenOptions): ListenOptions {
  return {
    ...(backlog === undefined ? {} : { backlog }),
    ...(reusePort === undefined ? {} : { reusePort }),
    ...(signal === undefined ? {} : { signal }),
  }
}

export const {
  agent,
  connect,
  createConnection,
  createServer,
  expose,
  forward,
  serve,
  Server,
  Socket,
  Stream,
} = surfaceOf({})
