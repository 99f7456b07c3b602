// A tunnel's ends in a process that may open few files: `files.cjs PORT TARGET`. Told `fill`, it opens all it may; told `free`,
// it closes them again.
const { closeSync, openSync } = require('node:fs')
const { connect } = require('../../../dist/index.js')
const { over } = require('../../../dist/net/index.js')

const [port, target] = process.argv.slice(2)
const net = over(connect({ address: `http://127.0.0.1:${port}`, noCache: true }))
const exposed = net.expose('db', { port: Number(target) })
const door = net.forward('echo', { port: 0 })
let files = []

function fill() {
  try {
    for (;;) files.push(openSync('/dev/null'))
  } catch (error) {
    return error.code
  }
}

process.on('message', what => {
  if (what === 'fill') process.send({ filled: fill() })
  else {
    for (const file of files) closeSync(file)
    files = []
    process.send({ refused: exposed.stats.refused })
  }
})
exposed.on('listening', () => {
  const tell = () => process.send({ port: door.address().port })
  if (door.listening) tell()
  else door.on('listening', tell)
})
process.on('disconnect', () => process.exit())
