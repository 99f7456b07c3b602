// A page in a real browser for each test of a file, which fails if something went wrong in it, or if it asked anybody else.
import type { Browser, Page } from 'playwright-core'
import { chromium, launch } from '../support/chromium'

export const describeInChromium = chromium === undefined ? describe.skip : describe

export let page: Page

export function usePage(): void {
  let browser: Browser
  let problems: string[] = []

  beforeAll(async () => {
    browser = await launch()
  })

  afterAll(() => browser?.close())

  beforeEach(async () => {
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
    problems = []
    page.on('pageerror', error => problems.push(String(error)))
    page.on('dialog', dialog => {
      problems.push(`a dialog: ${dialog.message()}`)
      void dialog.dismiss()
    })
    page.on('console', message => {
      if (message.type() === 'error' && !message.text().includes('Failed to load resource'))
        problems.push(message.text())
    })
    let own = ''
    page.on('request', request => {
      const { origin } = new URL(request.url())
      if (request.isNavigationRequest()) own = origin
      else if (origin !== own) problems.push(`asked ${request.url()}`)
    })
  })

  afterEach(async () => {
    await page.close()
    expect(problems).toEqual([])
  })
}
