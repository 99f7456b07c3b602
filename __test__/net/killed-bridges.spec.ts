// A process of `expose` or `forward` is killed: nobody may take what has passed through it until then for all there was.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import nodeNet from 'node:net'
import { join } from 'node:path'
import { connect } from 'selvedge'
import { over, sockets } from 'selvedge/net'
import { endAll, Party } from '../faults/party'
import { closed, portOf, until } from '../support/events'

const MIB = 1024 * 1024

afterEach(endAll)

/** Writes as long as it is open. */
function flood(socket: nodeNet.Socket): void {
  const chunk = Buffer.alloc(64 * 1024)
  const write = (): void => {
    while (!socket.destroyed && socket.write(chunk));
  }
  socket.on('error', () => {}).on('drain', write)
  write()
}

/** Resolves with how a socket ended, after `kill` was called in the middle of what it reads. */
function endOf(socket: nodeNet.Socket, kill: () => void): Promise<string[]> {
  const events: string[] = []
  let bytes = 0
  socket.on('data', data => {
    if (bytes < 2 * MIB && bytes + data.length >= 2 * MIB) kill()
    bytes += data.length
  })
  const ended = new Promise<void>(resolve => socket.on('end', () => resolve(void events.push('end'))))
  socket.on('error', error => events.push((error as NodeJS.ErrnoException).code!))
  return Promise.race([ended, closed(socket)]).then(() => events)
}
// The system closes the connections of a process that is killed; where it cannot be told how, that is an end.
;(process.platform === 'win32' ? test.skip : test).each(['expose', 'forward'] as const)(
  'the process of %s is killed in the middle: TCP is reset, never ended',
  async role => {
    const { port } = await Party.broker()
    const client = connect({ address: `http://127.0.0.1:${port}`, noCache: true })
    const net = over(client)
    const target = nodeNet.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
    await once(target, 'listening')
    const program = fork(join(__dirname, 'programs', 'bridge.cjs'), [
      String(port),
      role,
      String(portOf(target)),
    ])
    const there = once(program, 'message') as Promise<[{ port: number }]>
    const here =
      role === 'expose' ? net.forward('bridge', { port: 0 }) : net.expose('bridge', { port: portOf(target) })
    if (!here.listening) await once(here, 'listening')
    const [{ port: door }] = await there
    const accepted = once(target, 'connection') as Promise<[nodeNet.Socket]>
    const outer = nodeNet.connect({
      port: role === 'expose' ? portOf(here as nodeNet.Server) : door,
      host: '127.0.0.1',
      allowHalfOpen: true,
    })
    const [inner] = await accepted
    const [reader, writer] = role === 'expose' ? [inner, outer] : [outer, inner]
    const end = endOf(reader, () => program.kill('SIGKILL'))
    flood(writer)
    expect(await end).toEqual(['ECONNRESET'])
    writer.destroy()
    await Promise.all([closed(target.close()), closed((here as nodeNet.Server).close()), client.close()])
    await until(() => sockets().length === 0)
  },
)
