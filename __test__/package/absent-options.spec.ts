// `undefined` counts as an option that is absent, and the contracts say so: a program with `exactOptionalPropertyTypes` may pass on
// what it may not have.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { init } from 'selvedge'

/** Interfaces that are options, with their bodies. */
const OPTIONS = /^export interface (\w+(?:Options|Settings|Setup|Target|Call))\b[^{]*\{\n([\s\S]*?)^\}/gm

/** The contracts that are written by hand. */
const CONTRACTS = ['index.d.ts', ...readdirSync(join(__dirname, '../../types')).map(name => `types/${name}`)]

test.each(['index.d.ts', 'types/browser.d.ts'])('%s lets each option be undefined', file => {
  const text = readFileSync(join(__dirname, '../..', file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
  const strict: string[] = []
  let seen = 0
  for (const [, name, body] of text.matchAll(OPTIONS)) {
    for (const [, option, type] of body!.matchAll(
      /^ {2}(?:readonly )?(\w+)\?: ([\s\S]*?)(?=^ {2}[\w}/]|(?![\s\S]))/gm,
    )) {
      seen += 1
      if (!/\bundefined\b/.test(type!)) strict.push(`${name}.${option}`)
    }
  }
  expect(seen).toBeGreaterThan(20)
  expect(strict).toEqual([])
})

test.each(CONTRACTS)('%s lets each option that a function declares by itself be undefined', file => {
  const text = readFileSync(join(__dirname, '../..', file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
  const strict: string[] = []
  for (const [, name, body] of text.matchAll(/[(,]\s*(\w+)\?: \{([^{}]*)\}/g)) {
    for (const [, option, type] of body!.matchAll(/(\w+)\?: ([^;]*)/g)) {
      if (!/\b(undefined|unknown)\b/.test(type!)) strict.push(`${name}.${option}`)
    }
  }
  expect(strict).toEqual([])
})

test('an option of one call that is undefined leaves the service its own', async () => {
  const broker = init({ port: null })
  const client = broker.client()
  const { withOptions } = await import('selvedge')
  await client.service('s', { never: () => new Promise<void>(() => {}) })
  const quick = withOptions(client.call<{ never(): void }>('s', { timeout: 30 }), { timeout: undefined })
  await expect(quick.never()).rejects.toMatchObject({ code: 408 })
  await broker.close()
})
