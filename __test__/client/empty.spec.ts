// Options that are given and empty: refused, and not taken for absent ones.

import { connect, init } from 'selvedge'
import { createSocket } from 'selvedge/dgram'
import { describeFabrics } from '../support/fabrics'

const EMPTY = { code: 'ERR_INVALID_ARG_VALUE', message: expect.stringMatching(/must not be empty$/) }

describeFabrics('an empty option', fabric => {
  test('is no queue', async () => {
    const client = fabric.client()
    await expect(client.subscribe('a', { queue: '' })).rejects.toMatchObject(EMPTY)
    expect(() => client.subscribeSync('a', { queue: '' })).toThrow(expect.objectContaining(EMPTY))
    await expect(client.service('a', { add: () => 1 }, { queue: '' })).rejects.toMatchObject(EMPTY)
    const socket = createSocket('subject')
    const refused = { code: 'ERR_INVALID_ARG_VALUE', message: expect.stringContaining('queue') }
    expect(() => socket.bind({ subject: 'a', queue: '' })).toThrow(expect.objectContaining(refused))
    socket.close()
    expect(Object.keys(client.subs)).toEqual([])
  })

  test('is no address', () => {
    for (const address of ['', new String('') as never])
      expect(() => connect({ address, noCache: true })).toThrow(expect.objectContaining(EMPTY))
    expect(() => connect({ address: '' })).toThrow(expect.objectContaining(EMPTY))
  })

  test('is no id of a broker', () => {
    expect(() => init({ port: null, id: '' })).toThrow(expect.objectContaining(EMPTY))
  })
})

describeFabrics('getInbox', fabric => {
  test('is the same subject for all, within the bounds that are given', async () => {
    const client = fabric.client()
    const [first, second] = await Promise.all([client.getInbox(), client.getInbox({ timeout: 5000 })])
    expect(second.subject).toBe(first.subject)
    await expect(client.getInbox({ timeout: 0 })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    await expect(client.getInbox({ signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORT_ERR',
    })
    for (const subscription of [first, second]) subscription.close()
  })
})
