// The command on a terminal: a message does not drive it, `top` is driven by keys, and what is done to it is undone.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, type ConatServer, connect, init } from 'selvedge'
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

describe('with a broker', () => {
  let broker: ConatServer
  let client: Client
  let folder: string
  const env: Record<string, string> = { TERM: 'xterm' }

  beforeAll(async () => {
    broker = init({ port: 0, systemAccountPassword: 'a-long-password' })
    await broker.waitUntilReady()
    env.SELVEDGE_SERVER = String(broker.address())
    client = connect({ address: env.SELVEDGE_SERVER, noCache: true })
    await client.waitUntilReady()
    folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
    writeFileSync(join(folder, 'password'), 'a-long-password')
  })
  afterAll(async () => {
    await client.close()
    await broker.close()
    rmSync(folder, { recursive: true })
  })

  const SELVEDGE = `'${process.execPath}' '${ENTRY}'`
  /** What is typed at a terminal of its own. */
  const onTerminal = (line: string): Command =>
    new Command(`exec script -qefc "${SELVEDGE} ${line}" /dev/null`, env, folder)
  const EVIL = '\u001b[2J\u0007\u202etxt\u009b31m'

  onLinux(
    'control characters of messages, headers and subjects are shown there, and pass in a pipe',
    async () => {
      const shown = onTerminal(`sub 'evil.>' --headers --count 1`)
      const passed = new Command(['sub', 'evil.>', '--headers', '--count', '1'], env)
      for (const command of [shown, passed]) await command.until(/listening/)
      await client.publish('evil.\u202e', EVIL, { headers: { name: EVIL } })
      const { exit, stdout } = await shown.ended
      expect(exit).toBe(0)
      const safe = '\\x1b[2J\\x07\\u202etxt\\x9b31m'
      expect(stdout).toContain(`name: ${safe}`)
      expect(stdout).toContain(`[evil.\\u202e] ${safe}`)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none
      expect(stdout).not.toMatch(/[\u0000-\u0008\u001b\u007f-\u009f\u202e]/)
      expect((await passed.ended).stdout).toBe(`name: ${EVIL}\n[evil.\u202e] ${EVIL}\n`)
    },
  )

  onLinux('so are those of a stream of bytes', async () => {
    const server = client.socket.listen('bytes')
    const bytes = Buffer.from(`é${EVIL}\n`)
    server.on('connection', socket => {
      // Half of a letter, too.
      for (const part of [bytes.subarray(0, 1), bytes.subarray(1)]) socket.write(part)
      socket.end()
    })
    await server.waitUntilReady()
    const { stdout } = await onTerminal('socket bytes --bytes').ended
    expect(stdout).toBe('é\\x1b[2J\\x07\\u202etxt\\x9b31m\r\n')
    expect((await new Command(['socket', 'bytes', '--bytes'], env).ended).stdout).toBe(String(bytes))
    await server.close()
  })

  onLinux.each([{}, { NO_COLOR: '1' }, { FORCE_COLOR: '1' }, { NO_COLOR: '1', FORCE_COLOR: '1' }])(
    'nothing is coloured there, whatever the environment says: %j',
    async wish => {
      const off = { NO_COLOR: undefined, FORCE_COLOR: undefined }
      const shown = async (line: string): Promise<string> => {
        const command = new Command(
          `exec script -qefc "${SELVEDGE} ${line}" /dev/null`,
          { ...env, ...off, ...wish },
          folder,
        )
        return (await command.ended).stdout
      }
      for (const line of ['doctor', '--help', 'sub', 'req nobody.there hi', 'pub a.b 1', 'top --once -q']) {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none
        expect({ line, coloured: /\u001b/.test(await shown(line)) }).toEqual({ line, coloured: false })
      }
      // What is chosen there is bold, and the head of the table the other way round: no colours.
      const top = new Command(
        `exec script -qefc "${SELVEDGE} top --interval 50 --system-password-file password" /dev/null`,
        { ...env, ...off, ...wish },
        folder,
      )
      await top.until(/SUBS/)
      top.child.stdin.write('q')
      const { stdout } = await top.ended
      // biome-ignore lint/suspicious/noControlCharactersInRegex: those that change how text looks
      const looks = new Set(stdout.match(/\u001b\[[\d;]*m/g))
      expect([...looks].sort()).toEqual(['\u001b[0m', '\u001b[1m', '\u001b[7m'])
    },
  )

  onLinux('top is driven by keys, and leaves the terminal as it was', async () => {
    const terminal = onTerminal('top --interval 50 --system-password-file password')
    const types = async (keys: string, shows: RegExp): Promise<void> => {
      const from = Buffer.concat(terminal.output).length
      terminal.child.stdin.write(keys)
      while (!shows.test(Buffer.concat(terminal.output).subarray(from).toString())) {
        if (terminal.child.exitCode !== null) throw Error(`it ended without ${shows}`)
        await new Promise(resolve => setTimeout(resolve, 5))
      }
    }
    const [, first] = await terminal.until(/by (\w+) · \? for help/)
    await types('?', /q quit · s sort by · f filter/)
    await types('?', /\? for help/)
    await types('s', new RegExp(`by (?!${first} )\\w+ · \\?`))
    await types('p', /PAUSED/)
    await types('p', /by \w+ · \? for help/)
    await types('f', /filter: _/)
    await types('nobody\r', /filter 'nobody': 0 of \d/)
    await types('f', /filter: nobody_/)
    await types(`${'\u007f'.repeat(6)}\r`, /by \w+ · \? for help/)
    await types('\u001b[B\u001b[A\r', /subscriptions +\d/)
    await types('\r', /SUBS/)
    terminal.child.stdin.write('q')
    const { exit, stdout } = await terminal.ended
    expect(exit).toBe(0)
    expect(stdout.indexOf('\u001b[?1049h')).toBeGreaterThanOrEqual(0)
    expect(stdout.trimEnd().endsWith('\u001b[?25h\u001b[?1049l')).toBe(true)
  })
})
