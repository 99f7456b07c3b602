// The end of stdin of `selvedge socket` and `selvedge listen`, which is the end of one direction only.
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'selvedge'
import { Command, ENTRY } from '../support/command'
import { commandSuite } from '../support/command-suite'
import { until } from '../support/events'

jest.setTimeout(60_000)

const { env, run, start } = commandSuite()
/** Where `script` of util-linux gives a command a terminal. */
const onLinux = process.platform === 'linux' ? test : test.skip

describe('the end of stdin ends what is written, not what is read', () => {
  const text = randomBytes(1_500_000).toString('hex')

  test.each<[string, string[], string, string]>([
    ['an echo', ['--echo'], text, text],
    ['a program', ['--exec', 'cat'], text, text],
    ['a program that reads all before it answers', ['--exec', 'cat > /dev/null; echo read'], text, 'read\n'],
    [
      'a program that thinks longer than --idle',
      ['--exec', 'wc -c; sleep 1.2; echo done'],
      'hi\n',
      '3\ndone\n',
    ],
  ])('%s', async (_, serving, input, answer) => {
    const server = start('listen', 'half', ...serving)
    await server.until(/listening on/)
    const { exit, stdout, stderr } = await run(['socket', 'half', '--idle', '600'], input)
    expect({ exit, stderr, bytes: stdout.length }).toEqual({ exit: 0, stderr: '', bytes: answer.length })
    expect(stdout === answer).toBe(true)
  })

  test.each(['--bytes', '--lines'])(
    'an end that has said all reads the other one to its end: %s',
    async form => {
      const listening = start('listen', 'both', form)
      await listening.until(/listening on/)
      const connected = start('socket', 'both', form)
      listening.child.stdin.write('one\n')
      await connected.until(/one/)
      connected.child.stdin.end('two\n')
      await listening.until(/two/)
      listening.child.stdin.end(`${text}\n`)
      const [heard, said] = await Promise.all([connected.ended, listening.ended])
      expect([heard.exit, said.exit, heard.stderr, heard.stdout === `one\n${text}\n`]).toEqual([
        0,
        0,
        '',
        true,
      ])
    },
  )

  test('a program that is no end of this command is read until it is silent, or ends', async () => {
    const client = connect({ address: env.SELVEDGE_SERVER!, noCache: true })
    const answers = [
      ['slow', 300],
      ['late', 20_000],
    ] as const
    const slow = answers.map(([subject, after]) => {
      const server = client.socket.listen(subject)
      server.on('connection', socket => {
        let bytes = 0
        let timer: NodeJS.Timeout | undefined
        socket.on('data', (data: unknown) => {
          bytes += (data as Buffer).length
          if (bytes === text.length) timer = setTimeout(answer, after)
        })
        socket.on('closed', () => clearTimeout(timer))
        const answer = (): boolean => socket.write(Buffer.from('all of it'))
      })
      return server
    })
    const ending = client.socket.listen('ending')
    ending.on('connection', socket => {
      // What answers all requests does not say that it knows what the end of an input is.
      socket.handle(question => question)
      socket.on('data', () => {
        socket.write(Buffer.from('bye'))
        setTimeout(() => void socket.end(), 300)
      })
    })
    await Promise.all([...slow, ending].map(server => server.waitUntilReady()))
    const ask = async (subject: string, idle: string, input: string): Promise<unknown[]> => {
      const { exit, stdout, stderr } = await run(['socket', subject, '--idle', idle], input)
      return [exit, stdout, stderr]
    }
    expect(await ask('slow', '900', text)).toEqual([0, 'all of it', ''])
    expect(await ask('late', '0', text)).toEqual([0, '', ''])
    expect(await ask('ending', '1h', 'x')).toEqual([0, 'bye', ''])
    await client.close()
  })

  test('the program of a socket that has ended in order reads all of it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
    const server = start(
      'listen',
      'kept',
      '--exec',
      `sleep 0.3; cat > ${folder}/all; mv ${folder}/all ${folder}/done`,
    )
    await server.until(/listening on/)
    const client = connect({ address: env.SELVEDGE_SERVER!, noCache: true })
    const socket = client.socket.connect('kept')
    socket.write(Buffer.from(text))
    await socket.end()
    await until(() => existsSync(`${folder}/done`))
    expect(readFileSync(`${folder}/done`, 'utf8') === text).toBe(true)
    await client.close()
    rmSync(folder, { recursive: true })
  })

  onLinux('a person whose peer sends bytes is told how to see them', async () => {
    const server = start('listen', 'hint', '--exec', 'cat')
    await server.until(/listening on/)
    const command = `'${process.execPath}' '${ENTRY}' socket hint`
    const person = new Command(`exec script -qec "${command}" /dev/null`, env)
    person.child.stdin.write('hello\n')
    await person.until(/the other side sends bytes: --bytes/)
    await person.until(/hex:68656c6c6f/)
    // What Ctrl-D sends.
    person.child.stdin.write('\x04')
    expect((await person.ended).exit).toBe(0)
  })
})
