// A changefeed, as programs for Conat write one: its first write carries the parameters, then it asks for what is there.
import { EventEmitter } from 'node:events'
import type { Client, ConatSocketServer, Message } from 'selvedge'

export interface Params {
  table: string
  heartbeat?: number
}

export interface Update {
  action: 'insert' | 'delete'
  row: unknown
}

/** Serves tables to whoever connects on `changefeeds.<account>`. */
export function changefeedServer(
  client: Client,
  tables: Record<string, unknown[]>,
): { server: ConatSocketServer; insert(table: string, row: unknown): void } {
  const changes = new EventEmitter()
  const server = client.socket.listen('changefeeds.*', { keepAlive: 5000, keepAliveTimeout: 5000 })
  server.on('connection', socket => {
    const account = socket.subject.split('.')[1]
    // What the first message says is known when the request behind it is handled.
    let table = ''
    socket.once('data', (params: Params) => {
      table = params.table
      const tell = (row: unknown) => socket.write({ action: 'insert', row } satisfies Update)
      changes.on(table, tell)
      socket.on('closed', () => changes.off(table, tell))
    })
    socket.on('request', (mesg: Message) => {
      const rows = tables[table]
      if (rows === undefined)
        mesg.respondSync(null, { headers: { error: `no table ${table} for ${account}` } })
      else mesg.respondSync({ rows, account })
    })
  })
  return {
    server,
    insert(table, row) {
      tables[table]!.push(row)
      changes.emit(table, row)
    },
  }
}

export async function changefeed(
  client: Client,
  account: string,
  params: Params,
): Promise<{ rows: unknown[]; account: string; updates: AsyncIterable<Update>; close(): void }> {
  const socket = client.socket.connect(`changefeeds.${account}`, { desc: `changefeed ${params.table}` })
  const iter = socket.iter()
  socket.write(params)
  const { data, headers } = await socket.request(null, { timeout: 10_000 })
  if (headers?.error) {
    socket.close()
    throw Error(`${headers.error}`)
  }
  async function* updates(): AsyncGenerator<Update> {
    for await (const [update] of iter) yield update
  }
  return { ...data, updates: updates(), close: () => socket.close() }
}
