// The sessions of a terminal that the pages show are held, with the real command: blocks marked `console`. What a command
// prints is compared line by line, `…` stands for anything; `&` leaves it running while the next ones run.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, ENTRY } from '../support/command'
import { freePorts } from '../support/nats'

jest.setTimeout(120_000)

const ROOT = join(__dirname, '../..')
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
const pages = ['README.md', ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })]
  .filter(name => name.endsWith('.md'))
  .map(name => (name === 'README.md' ? name : join('docs', name)))

interface Step {
  command: string
  /** What the terminal shows until the next one. */
  lines: string[]
}

function steps(page: string): Step[] {
  const found: Step[] = []
  for (const [, block] of readFileSync(join(ROOT, page), 'utf8').matchAll(/^```console\n([\s\S]*?)^```$/gm)) {
    for (const line of block!.trimEnd().split('\n')) {
      if (line.startsWith('$ ')) found.push({ command: line.slice(2), lines: [] })
      else found.at(-1)!.lines.push(line)
    }
  }
  return found
}

/** What a command prints, line by line, as it comes. */
class Printed {
  readonly process: Command
  #taken = 0

  constructor(line: string, env: Record<string, string>, cwd: string) {
    this.process = new Command(`exec 2>&1; ${line}`, env, cwd)
    this.process.child.stdin.end()
  }

  get #lines(): string[] {
    const lines = Buffer.concat(this.process.output).toString().split('\n')
    return lines.slice(0, -1)
  }

  /** Takes the next line if it is this one. */
  takes(wanted: RegExp): boolean {
    const isNext = wanted.test(this.#lines[this.#taken] ?? '\0')
    if (isNext) this.#taken += 1
    return isNext
  }

  /** What nobody has taken. */
  get rest(): string[] {
    return this.#lines.slice(this.#taken)
  }
}

function pattern(line: string): RegExp {
  const literal = line.split('…').map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${literal.join('.*')}$`)
}

const shown = pages.map(page => ({ page, session: steps(page) })).filter(({ session }) => session.length > 0)

test.each(shown)('the session of $page', async ({ session }) => {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
  writeFileSync(join(folder, 'selvedge'), `#!/bin/sh\nexec '${process.execPath}' '${ENTRY}' "$@"\n`, {
    mode: 0o755,
  })
  // The ports of the page may be taken.
  const names = [...new Set(session.flatMap(({ command }) => command.match(/\b[38]\d{3}\b/g) ?? []))]
  const free = await freePorts(names.length)
  const actual = (text: string): string =>
    names.reduce(
      (changed, name, at) => changed.replaceAll(name, String(free[at])),
      text.replace('0.1.0', version),
    )
  const [server] = free
  const env = { SELVEDGE_SERVER: `http://127.0.0.1:${server}`, PATH: `${folder}:${process.env.PATH}` }
  const lasting: Printed[] = []
  try {
    for (const { command, lines } of session) {
      const stays = command.endsWith(' &')
      const line = actual(command.replace(/ &$/, ''))
      const own = new Printed(stays ? `exec ${line}` : line, env, folder)
      if (stays) lasting.unshift(own)
      const sources = stays ? lasting : [own, ...lasting]
      for (const wanted of lines.map(actual).map(pattern)) {
        while (!sources.some(source => source.takes(wanted))) {
          // What it prints instead is no reason to wait; the others print when they like.
          if (own.rest.length > 0) expect({ command, line: own.rest[0] }).toEqual({ command, line: wanted })
          await new Promise(resolve => setTimeout(resolve, 5))
        }
      }
      if (!stays) await own.process.ended
      expect({ command, rest: own.rest }).toEqual({ command, rest: [] })
    }
  } finally {
    await Promise.all(lasting.map(({ process }) => process.stop()))
    rmSync(folder, { recursive: true })
  }
})

test('there are sessions', () => {
  expect(shown.map(({ page }) => page.replaceAll('\\', '/'))).toContain('docs/reference/command.md')
})
