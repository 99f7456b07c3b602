// An error that is given to `respond` is the answer: whoever asked is rejected with its text, code and data, however it has asked
// and from wherever it was answered.
import { FabricError, type Message } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { rejection } from '../support/messages'

const ERRORS: Record<string, [() => Error, object]> = {
  'an error of ours': [
    () => new FabricError('no money', 'E_FUNDS'),
    { code: 'E_FUNDS', message: 'no money' },
  ],
  'any error': [() => new TypeError('not so'), { code: 'ERR_SERVICE', message: 'not so' }],
  'one with a number and data': [
    () => Object.assign(new Error('busy'), { code: 429, data: { left: [1] } }),
    { code: 429, message: 'busy', data: { left: [1] } },
  ],
}
const WAYS: Record<string, (message: Message, error: Error) => unknown> = {
  respond: (message, error) => message.respond(error),
  respondSync: (message, error) => message.respondSync(error),
}

describeFabrics('an error as an answer', fabric => {
  describe.each(Object.keys(WAYS))('%s', way => {
    test.each(Object.keys(ERRORS))('%s', async name => {
      const [make, told] = ERRORS[name]!
      const [host, client] = [fabric.client(), fabric.client()]
      const subscription = await host.subscribe('bank')
      subscription.emitter.on('message', message => void WAYS[way]!(message as Message, make()))
      const listener = host.socket.listen('till')
      listener.on('connection', socket =>
        socket.on('request', message => void WAYS[way]!(message as Message, make())),
      )
      await listener.waitUntilReady()
      expect(await rejection(client.request('bank', 1))).toMatchObject(told)
      expect(await client.request('bank', 1, { noThrow: true })).toBe(undefined)
      expect(await rejection(client.socket.connect('till').request(1))).toMatchObject(told)
    })
  })

  test('headers of the answer travel beside it', async () => {
    const [host, client] = [fabric.client(), fabric.client()]
    const subscription = await host.subscribe('bank')
    subscription.emitter.on('message', message => {
      void message.respond(new FabricError('no money', 'E_FUNDS'), { headers: { left: 7 } })
    })
    for await (const answer of client.requestMany('bank', 1, { maxMessages: 1 })) {
      expect(answer.headers).toMatchObject({ error: 'no money', code: 'E_FUNDS', left: 7 })
    }
  })

  test('an answer with a header `error` is no error, as ever', async () => {
    const [host, client] = [fabric.client(), fabric.client()]
    const subscription = await host.subscribe('bank')
    subscription.emitter.on('message', message => {
      void message.respond('there', { headers: { error: 'a column of this name' } })
    })
    const { data, headers } = await client.request('bank', 1)
    expect([data, headers]).toMatchObject(['there', { error: 'a column of this name' }])
  })
})
