// Two ends of Sockety in one process: [talk|exit|words|hold|unref].
import { once } from 'node:events'
import { connect, createServer, Draft, FastReply } from 'selvedge/sockety'

const [job, code] = process.argv.slice(2)
const server = createServer()
await server.listen(0, '127.0.0.1')
const accepted = once(server, 'connection')
const near = connect(server.address().port, '127.0.0.1')
const [far] = await accepted
await near.ready()
const ping = Draft.for('ping').optimize()()
const big = Draft.for('big').data().optimize()

const jobs = {
  /** Everything is closed at the end. */
  async talk() {
    far.on('message', message => message.fastReply(FastReply.Accept))
    console.log('answer', await near.send(ping).response())
    await near.close()
    await server.close()
  },
  /** The process ends in the middle of it: small messages and large ones both ways, received buffers that are kept. */
  exit() {
    const kept = []
    let seen = 0
    far.on('message', async message => {
      const data = await message.dataBuffer()
      if (data.length > 0) kept.push(data)
      seen += 1
      if (seen === 300) process.exit(Number(code))
      await message.accept()
    })
    const data = Buffer.alloc(200_000, 1)
    const again = () => {
      near.send(ping).response().then(again)
      near
        .send(big({ data: seen % 2 ? data : Buffer.alloc(70_000) }))
        .response()
        .then(again)
    }
    again()
  },
  /** What was sent right before the end arrives. */
  async words() {
    let count = 0
    far.on('message', () => count++)
    far.on('close', () => {
      console.log('heard', count)
      server.close()
    })
    for (let n = 0; n < 5000; n++) near.pass(ping)
    near.close()
  },
  /** An open connection keeps the process; the other end's last message ends it. */
  async hold() {
    server.close()
    near.on('message', () => near.close())
    far.unref()
    setTimeout(() => far.pass(ping), 300).unref()
    near.once('close', () => console.log('closed'))
  },
  /** Nothing that is unref-ed does. */
  unref() {
    for (const each of [server, near, far]) each.unref()
    console.log('open')
  },
}
await jobs[job]()
