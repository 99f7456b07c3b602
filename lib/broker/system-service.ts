// The service `sys.conat.…`: what system users may request from every broker, or from one.
import type {
  BrokerOverview,
  ConatServer,
  ConnectionDetail,
  ConnectionPage,
  ConnectionQuery,
  SocketPage,
  SocketQuery,
  SubjectPage,
  SubjectQuery,
} from '../../index'
import type { Client } from '../client/client'
import type { Message } from '../messaging/message'
import type { Subscription } from '../messaging/subscription'

/** What only the broker itself knows. */
export interface About {
  overview(): BrokerOverview
  connections(query?: ConnectionQuery): ConnectionPage
  connection(id: string): ConnectionDetail | null
  subjects(query?: SubjectQuery): SubjectPage
  sockets(query?: SocketQuery): SocketPage
}

type Methods = Record<string, (...args: unknown[]) => unknown>

/** Serves requests until its client is closed. */
export class SystemService {
  readonly #subscriptions: Subscription[] = []

  constructor(client: Client, server: ConatServer, about: About) {
    const cluster = server.options.clusterName ?? 'default'
    const common = methodsOf(server, about)
    // With a random queue, every broker of a cluster answers.
    this.#serve(client.subscribeSync(`sys.conat.${cluster}`), common)
    const own = client.subscribeSync(`sys.conat.${cluster}.${server.id}`, { queue: '0' })
    this.#serve(own, methods(common, clusterMethodsOf(server)))
  }

  /** Resolves when requests can arrive. */
  async confirmed(): Promise<void> {
    await Promise.all(this.#subscriptions.map(subscription => subscription.confirmed()))
  }

  #serve(subscription: Subscription, known: Methods): void {
    subscription.unref()
    this.#subscriptions.push(subscription)
    subscription.emitter.on('message', (message: Message) => answer(message, known))
  }
}

/** Without a prototype, whose members are not methods of the service. */
function methods(...parts: Methods[]): Methods {
  return Object.assign(Object.create(null) as Methods, ...parts)
}

function methodsOf(server: ConatServer, about: About): Methods {
  return methods({
    overview: about.overview,
    connections: query => about.connections(query as ConnectionQuery | undefined),
    connection: id => about.connection(id as string),
    subjects: query => about.subjects(query as SubjectQuery | undefined),
    sockets: query => about.sockets(query as SocketQuery | undefined),
    stats: () => ({ [server.id]: server.stats }),
    usage: () => ({ [server.id]: server.getUsage() }),
    disconnect: (ids: unknown) => {
      server.disconnect(ids as string[])
      return null
    },
  })
}

function clusterMethodsOf(server: ConatServer): Methods {
  const addresses = () => {
    const address = server.address()
    return address === null ? [] : [String(address)]
  }
  return methods({
    clusterAddresses: addresses,
    clusterTopology: () => ({
      [server.options.clusterName ?? 'default']: { [server.id]: addresses()[0] ?? null },
    }),
  })
}

/** Handles a request with data `[name, args]`. The reply has the result, or the header `error`. */
function answer(message: Message, known: Methods): void {
  if (!message.isRequest()) return
  let result: unknown
  let headers: { error: string } | undefined
  try {
    const [name, args] = message.data as [string, unknown[]]
    const method = typeof name === 'string' ? known[name] : undefined
    if (method === undefined) throw Error(`${String(name)} not defined`)
    result = method(...(Array.isArray(args) ? args : []))
  } catch (error) {
    result = null
    headers = { error: error instanceof Error ? error.message : 'malformed request' }
  }
  // The requester may be gone.
  message.respond(result, { noThrow: true, ...(headers && { headers }) }).catch(() => {})
}
