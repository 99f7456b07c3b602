// What all tests keep to, because once one did not and failed by chance.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(__dirname, '..')

test('the loss of a connection is awaited of one that is there: by disconnection() of support/sockets', () => {
  const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'))
  const direct = files.filter(file =>
    /\bonce\([^()]*, 'disconnected'\)/.test(readFileSync(join(ROOT, file), 'utf8')),
  )
  expect(direct.map(file => file.replaceAll('\\', '/'))).toEqual(['support/sockets.ts'])
})
