// Sockety, ours or the reference: they have one API. `MODULE` of the worker says which.
import { Buffer } from 'node:buffer'
import { certificate } from '../contenders/transports.mjs'

const {
  Draft,
  FastReply,
  FileTransfer,
  MessageHandler,
  ResponseDraft,
  connect,
  createSecureServer,
  createServer,
  heartbeat,
  secureConnect,
} = await import(process.argv[2])

const empty = new ResponseDraft().optimize()
// Data that nobody takes is read from the network and dropped, as in the reference's benchmark.
const handler = new MessageHandler()
  .action('fast', () => FastReply.Accept)
  .action('echo', message => void message.respond(empty()))
  .action('read', async message => {
    const { length } = await message.dataBuffer()
    if (length !== message.dataSize) throw Error(`${length} bytes of ${message.dataSize}`)
    return FastReply.Accept
  })
  .optimize()

export async function serve(secure) {
  const listen = connection => connection.on('message', handler)
  const server = secure
    ? createSecureServer({ key: certificate('server.key'), cert: certificate('server') }, listen)
    : createServer({}, listen)
  await server.listen(0, '127.0.0.1')
  return server.address().port
}

export async function session(port, secure) {
  const where = { port, host: '127.0.0.1' }
  const connection = secure
    ? secureConnect({ ...where, ca: certificate('ca'), servername: 'localhost' })
    : connect(where)
  await connection.ready()
  const message = action => Draft.for(action).optimize()()
  const data = (action, size) => Draft.for(action).data(Buffer.alloc(size, 7)).optimize()()
  const file = size =>
    Draft.for('none')
      .files([FileTransfer.buffer(Buffer.alloc(size, 7), 'file')])
      .optimize()()
  const ask = producer => () => connection.send(producer).response()
  const pass = producer => () => connection.pass(producer)
  return {
    heartbeat: () => pass(heartbeat),
    none: () => pass(message('none')),
    short: () => ask(message('fast')),
    regular: () => ask(message('echo')),
    data: size => pass(data('none', size)),
    file: size => pass(file(size)),
    read: size => ask(data('read', size)),
  }
}
