// What the command does to a terminal, it undoes.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, ENTRY } from '../support/command'

jest.setTimeout(60_000)

/** Where `script` of util-linux gives a command a terminal. */
const onLinux = process.platform === 'linux' ? test : test.skip

/** Asks for a password on its terminal, and sends a signal to whoever asks. */
const program = (signal: string): string => `
  const { spawn } = require('node:child_process')
  const child = spawn(process.execPath, [${JSON.stringify(ENTRY)}, 'passwd'], { stdio: ['inherit', 'pipe', 'pipe'] })
  child.stderr.once('data', () => child.kill('${signal}'))
  child.on('close', code => console.log('ended with ' + code))`

onLinux.each([
  ['SIGTERM', 143],
  ['SIGHUP', 129],
  ['SIGINT', 130],
])('a password that is asked for when %s comes leaves the echo on', async (signal, code) => {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
  writeFileSync(join(folder, 'asks.js'), program(signal))
  const terminal = new Command('exec script -qec "node asks.js; stty -a" /dev/null', {}, folder)
  const { stdout } = await terminal.ended
  expect(stdout).toMatch(RegExp(`ended with ${code}`))
  expect(stdout).toMatch(/ echo /)
  expect(stdout).toMatch(/ icanon /)
  rmSync(folder, { recursive: true })
})
