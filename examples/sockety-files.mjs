// Sockety: files to disk. The client sends two files, one of them from its disk; the server stores them, and answers with a receipt.
import { createHash, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { connect, createServer, Draft, FileTransfer, MessageHandler, ResponseDraft } from 'selvedge/sockety'

const folder = await mkdtemp(join(tmpdir(), 'sockety-files-'))
const digest = bytes => createHash('sha256').update(bytes).digest('hex').slice(0, 16)
const MAX_UPLOAD_BYTES = 64 * 1024 * 1024

const receipt = new ResponseDraft().msgpack().optimize()
const handler = new MessageHandler().action('upload', async message => {
  if (message.totalFilesSize > MAX_UPLOAD_BYTES) return message.reject()
  const stored = []
  for (const file of message.files) {
    // The name is the sender's, and may be `../../etc/passwd`: it is kept as data, and never used as a path.
    const path = join(folder, randomUUID())
    await pipeline(file, createWriteStream(path))
    stored.push({ name: file.name, size: file.size, digest: digest(await readFile(path)) })
  }
  message.respond(receipt({ data: stored }))
})

const server = createServer(connection => connection.on('message', handler))
await server.listen(0, '127.0.0.1')
const connection = await connect(server.address().port, '127.0.0.1').ready()

const large = Buffer.alloc(3_000_000, 'what is in a large file, over and over; ')
await writeFile(join(folder, 'large.txt'), large)
const files = [
  FileTransfer.buffer(Buffer.from('a few words'), '../../etc/passwd'),
  // Its size is read now, its content while it is sent.
  await FileTransfer.fs(join(folder, 'large.txt')),
]
const response = await connection.send(Draft.for('upload').files()({ files })).response()
for (const { name, size, digest: theirs } of await response.msgpack()) {
  const whole = theirs === digest(name === 'large.txt' ? large : 'a few words')
  console.log(name, size, whole ? 'as it was sent' : 'DAMAGED')
}

await connection.close()
await server.close()
await rm(folder, { recursive: true })

// prints:
// ../../etc/passwd 11 as it was sent
// large.txt 3000000 as it was sent
