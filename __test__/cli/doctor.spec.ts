// selvedge doctor: what it finds.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { init } from 'selvedge'
import { material } from '../support/certificates'
import { commandSuite, jsonLines } from '../support/command-suite'

jest.setTimeout(60_000)

const { run, start } = commandSuite()

describe('doctor', () => {
  test('finds nothing wrong with a broker that works', async () => {
    const { exit, stdout } = await run(['doctor', '--json', '--subject', 'a.b'])
    const findings = jsonLines(stdout)
    expect(findings.filter(({ level }) => level === 'FAIL')).toEqual([])
    expect(exit).toBe(0)
  })

  test('with --quiet prints only what is not ok, so that one that is healthy says nothing of it', async () => {
    const loud = await run(['doctor', '--json'])
    const quiet = await run(['doctor', '--json', '--quiet'])
    const warned = jsonLines(loud.stdout).filter(({ level }) => level !== 'ok')
    expect(quiet).toMatchObject({ exit: 0, stderr: '' })
    const lines = quiet.stdout === '' ? [] : jsonLines(quiet.stdout)
    expect(lines.map(({ check, level }) => [check, level])).toEqual(
      warned.map(({ check, level }) => [check, level]),
    )
    expect(warned.length).toBeLessThan(jsonLines(loud.stdout).length)
    const down = await run(['doctor', '--quiet', '--server', 'http://127.0.0.1:1'])
    expect(down.exit).toBe(8)
    expect(down.stdout).toMatch(/^FAIL +tcp/)
    expect(down.stdout).not.toMatch(/^ok/m)
  })

  test.each<[string, string, RegExp]>([
    ['nothing there', 'http://127.0.0.1:1', /FAIL +tcp +ECONNREFUSED .*selvedge broker/],
    ['no URL', 'nonsense', /FAIL +address +'nonsense' is no URL/],
    ['another scheme', 'ftp://127.0.0.1', /FAIL +address .*unknown scheme 'ftp'/],
    ['an unknown host', 'http://nowhere.invalid', /FAIL +dns +'nowhere.invalid' is not known/],
  ])('%s', async (_, server, text) => {
    const { exit, stdout } = await run(['doctor', '--server', server])
    expect(stdout).toMatch(text)
    expect(exit).toBe(8)
  })

  test('says that a certificate has expired, and what the broker says of itself', async () => {
    const expired = init({ port: 0, ssl: material('expired') })
    await expired.waitUntilReady()
    const { port } = expired.address()!
    const { exit, stdout, stderr } = await run(['doctor', '--server', `https://127.0.0.1:${port}`])
    expect(stdout).toMatch(/^FAIL +tls +the certificate was valid until .*→ renew the certificate/m)
    expect(stderr).not.toMatch(/Warning/)
    expect(exit).toBe(8)
    await expired.close()
    const well = jsonLines((await run(['doctor', '--json'])).stdout).find(({ check }) => check === 'health')
    expect(well).toMatchObject({ level: 'ok' })
  })

  test('tells what is used of the limits, to whoever may know', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
    const [path, config] = [join(folder, 'password'), join(folder, 'broker.jsonc')]
    writeFileSync(path, 'a-long-password')
    writeFileSync(config, JSON.stringify({ maxConnections: 3 }))
    const own = start('broker', '-p', '0', '-c', config, '--system-password-file', path)
    const [, url] = await own.until(/listening on (\S+)/)
    const limits = async (...more: string[]): Promise<unknown[]> => {
      const { stdout } = await run(['doctor', '--server', url!, '--json', ...more])
      const found = jsonLines(stdout).filter(({ check }) => check === 'limits')
      return found.map(({ level, text }) => [level, text])
    }
    const payload = ['ok', expect.stringMatching(/^8.0MB a message in one piece/)]
    expect(await limits()).toEqual([payload])
    const sub = start('sub', 'a', '--server', url!)
    await sub.until(/listening/)
    expect(await limits('--system-password-file', path)).toEqual([
      payload,
      ['warn', '3 of 3 connections'],
      ['ok', expect.stringMatching(/^\S+B of 2.1GB memory$/)],
    ])
    rmSync(folder, { recursive: true })
  })

  test('tells what may be done on a subject, and what carries the connection', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
    const path = join(folder, 'users.jsonc')
    writeFileSync(path, JSON.stringify({ users: { nobody: { anonymous: true, connect: ['chat.*'] } } }))
    const own = start('broker', '-p', '0', '--users', path)
    const [, url] = await own.until(/listening on (\S+)/)
    const { stdout } = await run(['doctor', '--server', url!, '--subject', 'chat.eu', '--json'])
    const findings = jsonLines(stdout)
    const told = findings
      .filter(({ check }) => check === 'permissions')
      .map(({ level, text }) => [level, text])
    expect(told).toEqual([
      ['warn', expect.stringContaining(`may not publish to 'chat.eu'`)],
      ['warn', expect.stringContaining(`may not subscribe to 'chat.eu'`)],
      ['warn', expect.stringContaining(`may not listen on 'chat.eu'`)],
      ['ok', `may connect to 'chat.eu'`],
    ])
    expect(findings.find(({ check }) => check === 'wire')).toMatchObject({ text: 'the fabric protocol' })
    rmSync(folder, { recursive: true })
  })

  test('something that is no broker', async () => {
    const other = net
      .createServer(socket => socket.on('error', () => {}).end('220 mail.example\r\n'))
      .listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const { exit, stdout } = await run(['doctor', '--server', `http://127.0.0.1:${port}`, '-t', '3s'])
    expect(stdout).toMatch(/FAIL +signin .*→ something answers there that is no broker/)
    expect(exit).toBe(8)
    other.close()
  })
})
