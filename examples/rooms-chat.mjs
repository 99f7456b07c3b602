// A chat in pages, with a room and presence over three servers, each a process. Open the address that it prints in some tabs; type
// `two` to kill that server: its members are grey within a second and gone within five, and the others go on chatting.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { connect, init } from 'selvedge'

if (process.argv[2]) serve(process.argv[2], process.argv[3])
else await start()

function serve(address, id) {
  const listener = connect({ address }).socket.listen('chat', { id })
  listener.on('connection', async socket => {
    const { data: name } = await socket.request('who are you?')
    socket.join('lobby', { key: name })
    listener.room('lobby').watch(socket)
    socket.on('data', text => listener.to('lobby').write({ name, text }))
  })
}

async function start() {
  const file = name => readFileSync(new URL(name, import.meta.url))
  const http = createServer(({ url }, response) => {
    const isScript = url === '/selvedge.mjs'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(file(isScript ? '../dist/browser/selvedge.mjs' : 'rooms-chat.html'))
  })
  await once(http.listen(0, '127.0.0.1'), 'listening')
  const address = `http://127.0.0.1:${http.address().port}`
  init({ httpServer: http, allowedOrigins: [address] })
  const servers = {}
  for (const id of ['one', 'two', 'three']) servers[id] = fork(process.argv[1], [address, id])
  console.log(`three servers, and a page at ${address}`)
  for await (const line of createInterface(process.stdin)) servers[line]?.kill('SIGKILL')
  for (const server of Object.values(servers)) server.kill()
  process.exit()
}

// prints:
// three servers, and a page at http://127.0.0.1:<port>
