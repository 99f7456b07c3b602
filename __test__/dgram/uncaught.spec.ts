// What listeners throw, and errors that nobody expects, are uncaught exceptions as Node's, and undo nothing.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const ROOT = join(__dirname, '../..')

test('what a listener throws does not undo the bind, and a bind that fails without a listener is uncaught', () => {
  const program = `
    const { init } = require('selvedge')
    const { createSocket } = require('selvedge/dgram')
    const told = []
    process.on('unhandledRejection', error => told.push('unhandled ' + error.message))
    process.on('uncaughtException', error => {
      told.push('uncaught ' + (error.code ?? error.message))
      if (told.length === 1) createSocket({ type: 'udp4', client }).bind('place')
      else end()
    })
    const client = init({ port: null }).client()
    const first = createSocket({ type: 'udp4', client })
    first.on('error', error => told.push('error ' + error.message) && end())
    first.bind('place', () => { throw Error('of a listener') })
    function end() {
      try {
        told.push(first.address().address)
      } catch (error) {
        told.push(error.code)
      }
      console.log(told.join(', '))
      process.exit()
    }
  `
  const { stdout } = spawnSync(process.execPath, ['-e', program], { cwd: ROOT, encoding: 'utf8' })
  expect(stdout).toBe('uncaught of a listener, uncaught EADDRINUSE, place\n')
})
