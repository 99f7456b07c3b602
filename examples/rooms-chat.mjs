// A chat with a room and presence over three servers, each a process of its own. One is killed: the others see its member as
// stale within a second and as gone within five, and go on chatting.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { connect, FabricError, init } from 'selvedge'

if (process.argv[2] === 'server') serve(process.argv[3], process.argv[4])
else await chat()

function serve(address, id) {
  const listener = connect({ address }).socket.listen('chat', { id })
  const lobby = listener.room('lobby')
  const tell = (what, who) => listener.to('lobby').local.write({ what, who })
  listener.use(async socket => {
    const { data: name } = await socket.request('who are you?')
    if (name === 'mallory') throw new FabricError(`no entrance for ${name}`, 403)
    socket.data.name = name
  })
  lobby.on('join', member => tell('is here', member.key))
  lobby.on('update', member => member.stale && tell('is away', member.key))
  lobby.on('leave', member => tell('has gone', member.key))
  listener.on('connection', socket => {
    const { name } = socket.data
    socket.join('lobby', { key: name })
    socket.on('data', text =>
      listener
        .to('lobby')
        .except(socket)
        .write({ what: `says ${text}`, who: name }),
    )
  })
  listener.waitUntilReady().then(() => process.send('ready'))
}

async function chat() {
  const broker = init({ port: 0 })
  await broker.waitUntilReady()
  const address = `${broker.address()}`
  const servers = ['one', 'two', 'three'].map(id =>
    fork(fileURLToPath(import.meta.url), ['server', address, id]),
  )
  await Promise.all(servers.map(server => once(server, 'message')))

  const guests = connect({ address, noCache: true })
  const enter = (name, server) => {
    const socket = guests.socket.connect('chat', { loadBalancer: () => server })
    socket.on('request', request => request.respond(name))
    socket.on('closed', reason => name === 'mallory' && console.log(reason.code, reason.message))
    return socket
  }
  // What bob sees, line by line.
  const bob = enter('bob', 'two')
  const seen = []
  bob.on('data', ({ who, what }) => seen.push(`${who} ${what}`))
  const sees = async line => {
    while (!seen.includes(line)) await once(bob, 'data')
    console.log(line)
  }
  await sees('bob is here')
  const ann = enter('ann', 'one')
  enter('joe', 'three')
  await sees('ann is here')
  await sees('joe is here')
  ann.write('hello')
  await sees('ann says hello')
  await once(enter('mallory', 'one'), 'closed')

  const killed = Date.now()
  servers[2].kill('SIGKILL')
  await sees('joe is away')
  await sees('joe has gone')
  console.log(Date.now() - killed < 5000 ? 'in time' : `after ${Date.now() - killed} ms`)
  ann.write('where is joe?')
  await sees('ann says where is joe?')

  for (const server of servers) server.kill('SIGKILL')
  await guests.close()
  await broker.close()
}

// prints:
// bob is here
// ann is here
// joe is here
// ann says hello
// 403 no entrance for mallory
// joe is away
// joe has gone
// in time
// ann says where is joe?
