// The page of the monitor in a real browser: signing in, also after the broker has started again, and what it may do to the broker.
import { once } from 'node:events'
import { connect, init } from 'selvedge'
import { disconnection } from '../support/sockets'
import { describeInChromium, page, usePage } from './monitor-page'

jest.setTimeout(120_000)

describeInChromium('in Chromium', () => {
  usePage()

  test('asks for the password, says when it is wrong, and lets out again', async () => {
    const other = init({ port: 0, monitor: { password: 'a-password-to-look' } })
    await other.waitUntilReady()
    try {
      const url = `${other.address()}/monitor`
      await page.goto(url)
      await page.getByLabel('Password').fill('wrong-password')
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.getByText('That is not the password.').waitFor()
      await page.getByLabel('Password').fill('a-password-to-look')
      await page.keyboard.press('Enter')
      await page.locator('#state', { hasText: 'live' }).waitFor()
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.getByLabel('Password').waitFor()
    } finally {
      await other.close()
    }
  })

  test('shows the sign-in, and nothing over it, when the broker has started again', async () => {
    const monitor = { password: 'a-password-to-look' }
    const first = init({ port: 0, monitor })
    await first.waitUntilReady()
    const { port } = first.address()!
    const client = connect({ address: String(first.address()), noCache: true })
    await client.waitUntilReady()
    const url = `${first.address()}/monitor`
    await page.goto(`${url}#/connection/${Object.keys(first.sockets)[0]}`)
    await page.getByLabel('Password').fill(monitor.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.locator('#detail .facts').waitFor()
    await first.close()
    const second = init({ port, monitor })
    await second.waitUntilReady()
    await page.getByLabel('Password').waitFor()
    await page.locator('#detail').waitFor({ state: 'hidden' })
    await page.getByLabel('Password').fill(monitor.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('It is not connected any more.').waitFor()
    await client.close()
    await second.close()
  })

  test('disconnects a connection and drains the broker, where the monitor may', async () => {
    const other = init({ port: 0, monitor: { password: 'a-password-to-look', actions: true } })
    await other.waitUntilReady()
    const client = connect({ address: String(other.address()), noCache: true, reconnection: false })
    await client.waitUntilReady()
    try {
      const url = `${other.address()}/monitor`
      await page.goto(`${url}#/connection/${Object.keys(other.sockets)[0]}`)
      await page.getByLabel('Password').fill('a-password-to-look')
      await page.getByRole('button', { name: 'Sign in' }).click()
      const gone = disconnection(client)
      await page.getByRole('button', { name: 'Disconnect' }).click()
      // It asks once more, and goes on asking while the panel is drawn anew.
      const age = await page.locator('#detail dd').nth(3).textContent()
      await page.locator('#detail dd').nth(3).filter({ hasNotText: age! }).waitFor()
      expect(Object.keys(other.sockets)).toHaveLength(1)
      await page.getByRole('button', { name: 'Disconnect: sure?' }).click()
      await gone
      await page.getByText('It is not connected any more.').waitFor()
      await page.getByRole('link', { name: 'Close' }).click()
      const closed = once(other, 'closed')
      await page.getByRole('button', { name: 'Drain' }).click()
      await page.getByRole('button', { name: 'Drain and close: sure?' }).click()
      await closed
    } finally {
      await client.close()
      await other.close()
    }
  })
})
