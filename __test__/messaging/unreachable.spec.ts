// Patterns that nothing can be published to: taken, as Conat takes them, and the process is warned once.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { isValidSubjectWithoutWildcards } from 'selvedge'

const ROOT = join(__dirname, '../..')
const { isReachable } = require('../../dist/values/subjects.js') as { isReachable(pattern: string): boolean }

test('are those that match no subject that may be published to', () => {
  const LETTERS = ['a', '*', '>', '.']
  const texts: string[] = ['']
  for (let from = 0, length = 0; length < 5; length++) {
    const to = texts.length
    for (; from < to; from++) for (const letter of LETTERS) texts.push(texts[from] + letter)
  }
  const { isValidSubject, matchesPattern } = require('selvedge')
  const subjects = texts.filter(isValidSubjectWithoutWildcards)
  for (const pattern of texts.filter(text => isValidSubject(text))) {
    const isMatched = subjects.some(subject => matchesPattern(pattern, subject))
    expect([pattern, isReachable(pattern)]).toEqual([pattern, isMatched])
  }
})

test.each([
  ["client.subscribe('jobs*')", 'jobs*'],
  ["client.subscribeSync('jobs.a>')", 'jobs.a>'],
  ["client.service('jobs>', {})", 'jobs>'],
  ["client.socket.listen('job*')", 'job*'],
])('%s is taken, and warns once', (call, pattern) => {
  const program = `
    const { init } = require('selvedge')
    process.on('warning', ({ code, message }) => console.log(code, message.includes(${JSON.stringify(`'${pattern}'`)})))
    const client = init({ port: null }).client()
    void (async () => {
      await client.subscribe('jobs.*')
      await client.subscribe('jobs.>')
      await ${call}
      await client.subscribe('other*')
      setImmediate(() => process.exit())
    })()
  `
  const { stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', '-e', program], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  expect([stdout, stderr]).toEqual(['SELVEDGE_UNREACHABLE true\n', ''])
})
