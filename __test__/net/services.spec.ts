// MySQL and SSH over subjects: their clients, unchanged, against servers in plain JavaScript.
import { once } from 'node:events'
import type nodeNet from 'node:net'
import { over, type Server, sockets } from 'selvedge/net'
import ssh2 from 'ssh2'
import { portOf, until } from '../support/events'
import { describeFabrics } from '../support/fabrics'

const mysql = require('mysql2') as { createServer(): any; createConnection(options: object): any }
const mysqlPromise = require('mysql2/promise') as { createPool(options: object): any }
const closed = (emitter: NodeJS.EventEmitter): Promise<unknown> =>
  new Promise(resolve => emitter.once('close', () => resolve(undefined)))

const COLUMN = {
  catalog: 'def',
  schema: 's',
  table: 't',
  orgTable: 't',
  name: 'text',
  orgName: 'text',
  characterSet: 33,
  columnLength: 384,
  columnType: 253,
  flags: 0,
  decimals: 0,
}
const rowsOf = (text: string, count: number): object[] =>
  Array.from({ length: count }, (_, n) => ({ text: `${text} ${n}` }))

describeFabrics('services', fabric => {
  let net = {} as ReturnType<typeof over>
  let remote = {} as ReturnType<typeof over>
  const opened: (Server | nodeNet.Server)[] = []

  beforeEach(() => {
    net = over(fabric.client())
    remote = over(fabric.client())
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map(server => closed(server.close())))
    await until(() => sockets().length === 0)
  })

  async function open<S extends Server | nodeNet.Server>(server: S): Promise<S> {
    opened.push(server)
    await once(server, 'listening')
    return server
  }

  /** Answers `select <text>` with the text so many times as it says, and refuses everything else. */
  function database(): any {
    const server = mysql.createServer()
    let ids = 0
    server.on('connection', (connection: any) => {
      ids += 1
      connection.serverHandshake({
        protocolVersion: 10,
        serverVersion: '8.0.0 test',
        connectionId: ids,
        statusFlags: 2,
        characterSet: 33,
        capabilityFlags: 0xffffff & ~0x800,
        authCallback: ({ user }: { user: string }, done: (error: unknown, refusal?: object) => void) => {
          done(null, user === 'mallory' ? { message: 'Access denied', code: 1045 } : undefined)
          // Its server does not count packets by itself.
          connection.sequenceId = 0
        },
      })
      connection.on('query', (sql: string) => {
        connection.sequenceId = 1
        const [, count, text] = /^select (\d+) (\w+)$/.exec(sql) ?? []
        if (count === undefined) connection.writeError({ code: 1064, message: 'syntax' })
        else connection.writeTextResult(rowsOf(text!, Number(count)), [COLUMN])
        connection.sequenceId = 0
      })
      // Who leaves without a word.
      connection.on('error', () => {})
    })
    return server
  }

  test('mysql2: a client over a stream of ours, a pool through a forward', async () => {
    const server = database()
    // What its listener gets is all that it wants of a server.
    const served = { emit: (_: string, socket: unknown) => server._handleConnection(socket) }
    await open(remote.serve('db.main', served as never))
    const who = { user: 'ann', database: 's' }
    const client = mysql.createConnection({ ...who, stream: () => net.connect('db.main') })
    const query = (sql: string): Promise<{ text: string }[]> =>
      new Promise((resolve, reject) =>
        client.query(sql, (error: Error | null, rows: { text: string }[]) =>
          error ? reject(error) : resolve(rows),
        ),
      )
    expect(await query('select 2 hello')).toEqual([{ text: 'hello 0' }, { text: 'hello 1' }])
    // Many packets, and several queries at once.
    const answers = await Promise.all([query('select 20000 large'), query('select 1 small')])
    expect(answers.map(rows => [rows.length, rows.at(-1)!.text])).toEqual([
      [20_000, 'large 19999'],
      [1, 'small 0'],
    ])
    await expect(query('drop table t')).rejects.toMatchObject({ errno: 1064 })
    client.end()
    await once(client.stream, 'close')

    const refused = mysql.createConnection({ user: 'mallory', stream: () => net.connect('db.main') })
    const [refusal] = await once(refused, 'error')
    expect(refusal).toMatchObject({ errno: 1045 })
    refused.destroy()

    const door = await open(net.forward('db.main', { port: 0 }))
    const pool = mysqlPromise.createPool({
      ...who,
      host: '127.0.0.1',
      port: portOf(door as nodeNet.Server),
      connectionLimit: 4,
    })
    const results = await Promise.all(Array.from({ length: 40 }, (_, n) => pool.query(`select 1 n${n}`)))
    expect(results.map(([rows]) => rows[0].text)).toEqual(Array.from({ length: 40 }, (_, n) => `n${n} 0`))
    await pool.end()
  })

  test('ssh2: a login, a command with much output, and a wrong password', async () => {
    const key = ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 })
    const server = new ssh2.Server({ hostKeys: [key.private] }, peer => {
      peer.on('authentication', context => {
        if (context.method === 'password' && context.password === 'secret') context.accept()
        else context.reject(['password'])
      })
      // Who is refused leaves, too.
      peer.on('error', () => {})
      peer.on('ready', () => {
        peer.on('session', accept => {
          const session = accept()
          session.on('exec', (acceptExec, _reject, { command }) => {
            const stream = acceptExec()
            if (command === 'cat') stream.pipe(stream, { end: false })
            stream.on('end', () => {
              stream.exit(command === 'cat' ? 0 : 127)
              stream.end()
            })
          })
        })
      })
    })
    await open(remote.serve('ssh.main', server as never))
    const log: string[] = []
    const client = new ssh2.Client()
    client.on('ready', () => log.push('ready'))
    const ready = once(client, 'ready')
    client.connect({
      sock: net.connect('ssh.main'),
      username: 'ann',
      password: 'secret',
      hostVerifier: (theirs: Buffer) => {
        log.push('host key')
        const ours = ssh2.utils.parseKey(key.public)
        return !(ours instanceof Error) && theirs.equals((ours as ssh2.ParsedKey).getPublicSSH())
      },
    })
    await ready
    expect(log).toEqual(['host key', 'ready'])
    const stream = await new Promise<ssh2.ClientChannel>((resolve, reject) =>
      client.exec('cat', (error, channel) => (error ? reject(error) : resolve(channel))),
    )
    const sent = Buffer.alloc(3_000_000, 'output ')
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    const exit = once(stream, 'exit')
    const done = closed(stream)
    stream.end(sent)
    expect((await exit)[0]).toBe(0)
    await done
    expect(Buffer.concat(chunks).equals(sent)).toBe(true)
    const end = closed(client)
    client.end()
    await end

    const stranger = new ssh2.Client()
    const failed = once(stranger, 'error')
    const left = closed(stranger)
    stranger.connect({ sock: net.connect('ssh.main'), username: 'eve', password: 'guess' })
    expect((await failed)[0]).toMatchObject({ level: 'client-authentication' })
    stranger.end()
    await left
  })
})
