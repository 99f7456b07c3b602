// Every wait of a client's side, as rows: how it begins, and what it ends with when there is no broker. `waits.spec.ts` runs
// them, and fails for one of the contract that has no row.
import {
  type Client,
  type ConatSocketClient,
  type ConatSocketServer,
  callConatService,
  createServiceClient,
  FabricError,
  getSkew,
  type Message,
  type ServerSocket,
  type Subscription,
  sysApi,
  sysApiMany,
  timeClient,
  type WaitOptions,
  withOptions,
} from 'selvedge'

/** What is there when the waiting begins: nothing of it has a broker. */
export interface Stage {
  client: Client
  /** Sockets with a full window: each wait has its own. Attached, if there was a broker. */
  socket(): ConatSocketClient
  /** Its subscription has one message that nobody reads, if there was a broker. */
  subscription: Subscription
  listener: ConatSocketServer
  /** Of `listener`, in the room `lobby`, whose other side reads nothing; only if there was a broker. */
  server: ServerSocket | undefined
  /** A request that waits for its answer; only if there was a broker. */
  question: Message | undefined
  /** Nothing comes from the broker any more, and nobody is told, until `lose`. */
  hold(): void
  /** Resolves when the broker has all that was said to it. */
  said(): Promise<unknown>
  /** Takes the broker away, if it is still there. */
  lose(): Promise<void>
  /** Brings it back. The other side of the sockets reads from then on. */
  restore(): Promise<void>
}

export interface Row {
  /** Begins the wait. `undefined`: there is nothing to wait for on this stage. */
  begin(stage: Stage, bounds: WaitOptions): Promise<unknown> | undefined
  /** What it says that it waited for. */
  what: RegExp
  /** @default 408 */
  code?: number | string
  /** At its timeout its cause is on this side, and no other than that. */
  isOwn?: true
  /** Its bound is of another name, or the client's `offlineTimeout`. @default both */
  takes?: 'timeout' | 'signal'
}

/** Takes `signal` only, or a bound of another name. */
const signalOf = ({ signal }: WaitOptions): { signal?: AbortSignal } =>
  signal === undefined ? {} : { signal }
export const iterated = async (answers: AsyncIterable<unknown>): Promise<void> => {
  for await (const _ of answers);
}

/** Throws the first error among the answers. */
const answered = async (answers: AsyncIterable<Message | FabricError>): Promise<void> => {
  for await (const answer of answers) if (answer instanceof FabricError) throw answer
}

const socketWait = (
  begin: (socket: ConatSocketClient, bounds: WaitOptions) => Promise<unknown>,
  what: RegExp,
  code?: number | string,
): Row => ({ begin: (stage, bounds) => begin(stage.socket(), bounds), what, ...(code ? { code } : {}) })

/** By their names in the contract. */
export const WAITS: Record<string, Row> = {
  'Client.waitUntilConnected': {
    begin: ({ client }, bounds) => client.waitUntilConnected(bounds),
    what: /not connected/,
  },
  'Client.waitUntilSignedIn': {
    begin: ({ client }, bounds) => client.waitUntilSignedIn(bounds),
    what: /not signed in/,
  },
  'Client.waitUntilReady': {
    begin: ({ client }, bounds) => client.waitUntilReady(bounds),
    what: /not ready/,
  },
  'Client.getInbox': {
    begin: ({ client }, bounds) => client.getInbox(bounds),
    what: /getInbox '_INBOX/,
  },
  'Client.subscribe': { begin: ({ client }, bounds) => client.subscribe('a', bounds), what: /subscribe 'a'/ },
  'Client.sub': { begin: ({ client }, bounds) => client.sub('b', bounds), what: /sub 'b'/ },
  'Client.service': { begin: ({ client }, bounds) => client.service('c', {}, bounds), what: /service 'c'/ },
  'Client.publish': { begin: ({ client }, bounds) => client.publish('x', 1, bounds), what: /publish 'x'/ },
  'Client.pub': { begin: ({ client }, bounds) => client.pub('x', 1, bounds), what: /pub 'x'/ },
  'Client.request': { begin: ({ client }, bounds) => client.request('x', 1, bounds), what: /request 'x'/ },
  'Client.requestMany': {
    begin: ({ client }, bounds) => iterated(client.requestMany('x', 1, bounds)),
    what: /requestMany 'x'|the answers/,
  },
  'Client.call': { begin: ({ client }, bounds) => client.call('x', bounds).add(1), what: /request 'x'/ },
  'Client.callMany': {
    begin: ({ client }, bounds) => iterated(client.callMany('x', bounds).add(1)),
    what: /requestMany 'x'|the answers/,
  },
  withOptions: {
    begin: ({ client }, bounds) => withOptions(client.call('x'), bounds).add(1),
    what: /request 'x'/,
  },
  'Client.syncSubscriptions': {
    begin: ({ client }, bounds) => client.syncSubscriptions(bounds),
    what: /list of subscriptions|syncSubscriptions/,
  },
  'Client.getSubscriptions': {
    begin: ({ client }, bounds) => client.getSubscriptions(bounds),
    what: /list of subscriptions|syncSubscriptions/,
  },
  'Client.cluster': {
    begin: ({ client }, bounds) => client.cluster(bounds),
    what: /list of servers|cluster/,
  },
  'Client.interest': {
    begin: ({ client }, bounds) => client.interest('x', signalOf(bounds)),
    what: /interest 'x'/,
  },
  'Client.waitForInterest': {
    begin: ({ client }, bounds) => client.waitForInterest('x', bounds),
    what: /waitForInterest 'x'/,
  },
  'Client.socket.connect': {
    begin: ({ client }, bounds) => client.socket.connect('new', bounds).waitUntilReady(),
    what: /socket client 'new'/,
  },
  'Client.socket.listen': {
    begin: ({ client }, bounds) => client.socket.listen('new', bounds).waitUntilReady(),
    what: /socket server 'new'/,
  },
  'Connection.timeout.emitWithAck': {
    begin: ({ client }, { timeout }) => client.conn.timeout(timeout!).emitWithAck('cluster'),
    what: /'cluster'/,
    takes: 'timeout',
  },
  'Message.respond': {
    begin: ({ question }, bounds) => question?.respond(1, bounds),
    what: /publish '_INBOX/,
  },
  'Subscription.drain': {
    begin: ({ subscription, question }, { timeout: deadline, signal }) =>
      question && subscription.drain(deadline === undefined ? signalOf({ signal: signal! }) : { deadline }),
    what: /'unread'/,
    isOwn: true,
  },
  'ConatSocketBase.send': socketWait(
    (socket, bounds) => socket.send('last', bounds),
    /may still be handled, and is not known to be/,
  ),
  'ConatSocketBase.request': socketWait(
    (socket, bounds) => socket.request('?', bounds),
    /answer|the socket did not get ready|request over a socket/,
  ),
  'ConatSocketBase.requestMany': socketWait(
    (socket, bounds) => iterated(socket.requestMany('?', bounds)),
    /answer|the socket did not get ready|request over a socket/,
  ),
  'ConatSocketBase.drain': socketWait((socket, bounds) => socket.drain(bounds), /has not drained/),
  'ConatSocketBase.waitUntilDrain': socketWait(
    (socket, bounds) => socket.waitUntilDrain(bounds),
    /has not drained/,
  ),
  'ConatSocketBase.waitUntilWritable': socketWait(
    (socket, bounds) => socket.waitUntilWritable(bounds),
    /is not writable/,
  ),
  'ConatSocketBase.waitUntilReady': socketWait(
    (socket, bounds) => socket.waitUntilReady(bounds),
    /is not ready/,
  ),
  'ConatSocketBase.end': socketWait(
    (socket, bounds) => socket.end(bounds),
    /undelivered|the end goes on/,
    'ERR_UNDELIVERED',
  ),
  'ConatSocketServer.waitUntilReady': {
    begin: ({ listener }, bounds) => listener.waitUntilReady(bounds),
    what: /socket server/,
  },
  'ConatSocketServer.request': {
    begin: ({ listener, server }, bounds) =>
      server && listener.request('?', bounds).then(([answer]) => Promise.reject(answer)),
    what: /answer|the socket did not get ready|request over a socket/,
  },
  'Broadcast.request': {
    begin: ({ listener, server }, bounds) => server && answered(listener.to('lobby').request('?', bounds)),
    what: /answer|the socket did not get ready|request over a socket/,
  },
  'Broadcast.send': {
    begin: ({ listener, server }, bounds) => server && listener.to('lobby').send(1, bounds),
    what: /not all members are known to have it/,
  },
  callConatService: {
    begin: ({ client }, bounds) => callConatService({ service: 's', mesg: 1, client, ...bounds }),
    what: /request 'services\.hub\.s'/,
  },
  createServiceClient: {
    begin: ({ client }, bounds) => createServiceClient({ service: 's', client, ...bounds }).method(),
    what: /request 'services\.hub\.s'/,
  },
  timeClient: {
    begin: ({ client }, { timeout }) => timeClient({ client, timeout: timeout! }).time(),
    what: /request/,
    takes: 'timeout',
  },
  getSkew: {
    begin: ({ client }, { timeout }) => getSkew({ client, timeout: timeout! }),
    what: /request/,
    takes: 'timeout',
  },
  sysApi: {
    begin: ({ client }, bounds) => sysApi(client, { id: 'x', clusterName: 'y', ...bounds }).stats(),
    what: /request/,
  },
  sysApiMany: {
    begin: ({ client }, bounds) => iterated(sysApiMany(client, { clusterName: 'y', ...bounds }).stats()),
    what: /requestMany|the answers/,
  },
}

/** Ends of a kind that is over without a broker, whatever is left: each settles by itself, or by its own deadline. */
export const ENDS: Record<string, (stage: Stage) => Promise<unknown> | undefined> = {
  'ConatSocketServer.drain': ({ listener }) => listener.drain({ deadline: 100 }),
  'ConatSocketServer.end': ({ listener }) => listener.end({ timeout: 100 }).catch(() => {}),
  'ConatSocketServer.[Symbol.asyncDispose]': ({ listener }) =>
    listener[Symbol.asyncDispose]().catch(() => {}),
  'ConatSocketBase.[Symbol.asyncDispose]': ({ client }) =>
    client.socket.connect('new')[Symbol.asyncDispose](),
  'Subscription.return': ({ subscription }) => subscription.return(),
  'Subscription.[Symbol.asyncDispose]': ({ subscription }) => subscription[Symbol.asyncDispose](),
  'AnswerIterator.drain': ({ client }) => client.requestMany('x').drain(),
  'Client.drain': ({ client }) => client.drain({ deadline: 100 }),
  'Client.close': ({ client }) => client.close(),
  'Client.[Symbol.asyncDispose]': ({ client }) => client[Symbol.asyncDispose](),
}

/** What is no wait for a broker, or has no bound of its own, and why. */
export const OTHERS: Record<string, string> = {
  'AsyncValues.next': 'waits for a message, as long as there may be one',
  'Client.subscribeSync': 'takes no bound of a wait, and waits for nothing',
  'Client.bench.publish': 'is publish, with its defaults',
  'Client.bench.request': 'is request, with its defaults',
  'Connection.emitWithAck': 'is cluster, getSubscriptions, waitForInterest or publish, with their defaults',
  'ConatServer.io.close': 'is close',
  'ConatServer.isHealthy': 'asks the engine of this process',
  'ConatServer.waitForInterest': 'asks the engine of this process',
  'ConatServer.waitUntilReady': 'broker.spec.ts: of a gateway that does not reach NATS',
  'ConatServer.drain': 'drain-deadlines.spec.ts',
  'ConatServer.close': 'asks the engine of this process',
  'ConatServer.[Symbol.asyncDispose]': 'is close',
  'ConatService.[Symbol.asyncDispose]': 'is close of its subscription',
  createServiceHandler: 'is subscribe, with its default of 60 s',
  createTimeService: 'is subscribe, with its default of 60 s',
}
