// A wait for interest is at most as long as a broker waits: more is refused, not cut off.

import { closePages, pageClient } from '../browser/party'
import { describeFabrics } from '../support/fabrics'

const LATE = { code: 'ERR_OUT_OF_RANGE', message: expect.stringContaining('90000') }

describeFabrics('a wait for interest', fabric => {
  test('is refused if it is longer than a broker waits', async () => {
    const client = fabric.client()
    await expect(client.waitForInterest('nobody', { timeout: 90_001 })).rejects.toMatchObject(LATE)
    const subscription = await client.subscribe('somebody')
    expect(await client.waitForInterest('somebody', { timeout: 90_000 })).toBe(true)
    subscription.close()
  })

  test('is refused if it is shorter than nothing', async () => {
    const early = { code: 'ERR_OUT_OF_RANGE', message: expect.stringContaining('at least 0') }
    await expect(fabric.client().waitForInterest('nobody', { timeout: -1 })).rejects.toMatchObject(early)
  })

  test('what cannot be decoded is told to who asked, and the loop of the README goes on', async () => {
    const server = fabric.client()
    const client = fabric.client()
    const requests = await server.subscribe('math.square')
    const serving = (async () => {
      for await (const request of requests) {
        if (!request.isRequest()) continue
        try {
          request.respondSync(request.data ** 2)
        } catch (error) {
          request.respondSync(null, { headers: { error: (error as Error).message } })
        }
      }
    })()
    const { headers } = await client.request('math.square', null, { raw: Buffer.from([0xc1]) })
    expect(headers).toMatchObject({ error: expect.stringContaining('Unrecognized') })
    expect((await client.request('math.square', 12)).data).toBe(144)
    requests.close()
    await serving
  })
})

describe('a page', () => {
  afterEach(closePages)

  test('is refused a longer one, too', async () => {
    const page = pageClient('http://127.0.0.1:1')
    await expect(page.waitForInterest('nobody', { timeout: 90_001 })).rejects.toMatchObject(LATE)
  })
})
