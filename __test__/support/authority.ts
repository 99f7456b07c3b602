// A broker with callbacks, over every way to plug in.
import {
  type Client,
  type ConatServer,
  type ConnectOptions,
  connect,
  init,
  type ServerOptions,
  type Visitor,
} from 'selvedge'

/** Gives what the types do not allow. */
export const loose = (value: unknown) => value as any

/** A promise that the test settles. */
export function pending<T>() {
  let resolve!: (value: T) => void
  const promise = new Promise<T>(done => {
    resolve = done
  })
  return { promise, resolve }
}

/** The user is who the cookie names. */
export function byCookie(visitor: Pick<Visitor, 'handshake'>): { name: string } {
  const name = /name=(\w+)/.exec(visitor.handshake.headers.cookie ?? '')?.[1]
  if (name === undefined) throw Object.assign(Error('who are you?'), { code: 401 })
  return { name }
}

/** The broker of a test, and its clients. */
export class Stage {
  server!: ConatServer
  /** What `callbackFailed` told. */
  readonly failures: [unknown, string][] = []
  readonly clients: Client[] = []

  constructor(readonly kind: 'in-process' | 'conat wire' | 'selvedge wire') {}

  async start(options: ServerOptions): Promise<ConatServer> {
    const place = this.kind === 'in-process' ? { port: null } : { port: 0, host: '127.0.0.1' }
    this.server = init({ ...options, ...place })
    this.failures.length = 0
    this.server.on('callbackFailed', (error, callback) => this.failures.push([error, callback]))
    await this.server.waitUntilReady()
    return this.server
  }

  join(options: ConnectOptions = {}): Client {
    const quick = { reconnectionDelay: 5, reconnectionDelayMax: 50, ...options }
    const client =
      this.kind === 'in-process'
        ? this.server.client(quick)
        : connect({
            address: `http://127.0.0.1:${this.server.address()!.port}`,
            noCache: true,
            wire: this.kind === 'conat wire' ? 'conat' : 'selvedge',
            ...quick,
          })
    this.clients.push(client)
    return client
  }

  /** Signs in by name. */
  as(name: string, options?: ConnectOptions): Client {
    return this.join({ extraHeaders: { Cookie: `name=${name}` }, ...options })
  }

  async end(): Promise<void> {
    await Promise.all(this.clients.splice(0).map(client => client.close()))
    await this.server.close()
  }
}

/** The tests that `define` makes, over every way to plug in. */
export function describeStages(title: string, define: (stage: Stage) => void): void {
  describe.each(['in-process', 'conat wire', 'selvedge wire'] as const)(`${title}, %s`, kind => {
    const stage = new Stage(kind)
    afterEach(() => stage.end())
    define(stage)
  })
}
