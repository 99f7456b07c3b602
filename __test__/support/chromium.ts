// A real browser, where there is one.
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Browser } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** Its path; `undefined`, and a word on the console, if there is none. */
export const chromium = [
  process.env.CHROMIUM ?? '',
  ...(process.env.PATH ?? '').split(delimiter).flatMap(folder => NAMES.map(name => join(folder, name))),
].find(file => file !== '' && existsSync(file))

if (chromium === undefined) {
  console.warn(
    'SKIPPED the tests in a page: there is no Chromium. Install it (apt-get install chromium), or set CHROMIUM to its path.',
  )
}

/** `left`: what playwright-core would pass to it, and is not passed. */
export async function launch(left: readonly string[] = []): Promise<Browser> {
  const playwright = require('playwright-core') as typeof import('playwright-core')
  return await playwright.chromium.launch({
    executablePath: chromium!,
    args: ['--no-sandbox', '--disable-gpu'],
    ignoreDefaultArgs: [...left],
  })
}
