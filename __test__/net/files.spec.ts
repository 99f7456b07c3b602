// A process that may open no more files: its tunnels refuse, say why, and go on when there are files again.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import nodeNet from 'node:net'
import { join } from 'node:path'
import { type Client, type ConatServer, init } from 'selvedge'
import { over, sockets } from 'selvedge/net'
import { closed, until } from '../support/events'

let broker: ConatServer
let client: Client
let child: ChildProcess | undefined
beforeEach(async () => {
  broker = init({ port: 0, host: '127.0.0.1' })
  await broker.waitUntilReady()
  client = broker.client()
})
afterEach(async () => {
  child?.kill()
  await client.close()
  await broker.close()
})

/** What comes back, or nothing if the socket was cut off. */
function echoed(socket: NodeJS.ReadWriteStream): Promise<string | undefined> {
  return new Promise(resolve => {
    socket.on('error', () => {}).on('close', () => resolve(undefined))
    socket.on('data', data => resolve(String(data)))
    socket.write('are you there')
  })
}

;(process.platform === 'linux' ? test : test.skip)(
  'without files to open, expose refuses with EMFILE and forward cuts off; with files they go on',
  async () => {
    const target = nodeNet.createServer(socket => socket.pipe(socket))
    await once(target.listen(0), 'listening')
    const net = over(client)
    const server = net.createServer(socket => socket.pipe(socket))
    await once(server.listen('echo'), 'listening')
    const program = join(__dirname, 'programs', 'files.cjs')
    const { port } = target.address() as nodeNet.AddressInfo
    const command = `ulimit -n 128; exec "${process.execPath}" "${program}" ${broker.address()!.port} ${port}`
    const tunnel = spawn('sh', ['-c', command], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    child = tunnel
    const told = async (what?: string): Promise<object> => {
      const answer = once(tunnel, 'message')
      if (what !== undefined) tunnel.send(what)
      return (await answer)[0]
    }
    const { port: door } = (await told()) as { port: number }
    const inside = net.connect('db')
    expect(await echoed(inside)).toBe('are you there')

    expect(await told('fill')).toEqual({ filled: 'EMFILE' })
    for (let n = 0; n < 3; n++) {
      const [error] = await once(net.connect('db'), 'error')
      expect(error).toMatchObject({ code: 'EMFILE', syscall: 'connect' })
      expect(await echoed(nodeNet.connect(door, '127.0.0.1'))).toBeUndefined()
    }
    // What is open is not touched.
    inside.write('still')
    expect(String((await once(inside, 'data'))[0])).toBe('still')

    expect(await told('free')).toEqual({ refused: 3 })
    const again = net.connect('db')
    expect(await echoed(again)).toBe('are you there')
    const outside = nodeNet.connect(door, '127.0.0.1')
    expect(await echoed(outside)).toBe('are you there')
    const ends = [inside, again, outside].map(closed)
    for (const socket of [inside, again, outside]) socket.resume().end()
    await Promise.all(ends)
    const exit = once(tunnel, 'exit')
    tunnel.disconnect()
    await exit
    await Promise.all([closed(server.close()), closed(target.close())])
    await until(() => sockets().length === 0)
  },
)
