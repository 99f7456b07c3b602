// What programs for Conat match on: the code and the text of each failure, and a stack that shows the line of whoever called.
import { type Client, type FabricError, init } from 'selvedge'
import { describeFabrics } from '../support/fabrics'
import { pair } from '../support/sockets'

async function failureOf(call: () => unknown): Promise<FabricError> {
  try {
    await call()
  } catch (error) {
    return error as FabricError
  }
  throw new Error(`nothing was thrown by ${call}`)
}

async function expectFailure(call: () => unknown, code: unknown, ...texts: string[]): Promise<void> {
  const failure = await failureOf(call)
  expect({ call: String(call), code: failure.code }).toEqual({ call: String(call), code })
  for (const text of texts) expect(failure.message).toContain(text)
  expect(failure.stack).toContain('error-texts.spec')
}

const options = {
  maxSubscriptionsPerClient: 8,
  isAllowed: ({ subject }: { subject: string }) => !subject.startsWith('secret'),
}

describeFabrics(
  'the failure of',
  fabric => {
    test('asking when nobody listens', async () => {
      const client = fabric.client()
      const text = "request -- no subscribers matching 'nobody.x'"
      await expectFailure(async () => await client.request('nobody.x'), 503, text)
      const many = 'requestMany -- no subscribers matching nobody.x'
      await expectFailure(async () => await client.requestMany('nobody.x'), 503, many)
      await expectFailure(async () => await client.call('nobody.x').name(), 503, text)
    })

    test('waiting for longer than the timeout', async () => {
      const client = fabric.client()
      const silent = await client.subscribe('silent')
      await expectFailure(async () => await client.request('silent', 1, { timeout: 20 }), 408, 'timeout')
      const socket = client.socket.connect('nobody')
      await expectFailure(async () => await socket.waitUntilReady(20), 408, 'timeout')
      const interest = async () => await client.waitForInterest('nobody', { timeout: 20 })
      await expectFailure(interest, 408, 'timeout - Error: operation has timed out')
      silent.close()
    })

    test('answering somebody who has gone', async () => {
      const [asker, answerer] = [fabric.client(), fabric.client()]
      const questions = await answerer.subscribe('questions')
      const asked = failureOf(() => asker.request('questions'))
      const { value: question } = await questions.next()
      await asker.close()
      await asked
      // A gateway may hear of it a moment later.
      const isTaken = (): Promise<boolean> =>
        question!.respond(1, { timeout: 50 }).then(
          () => true,
          () => false,
        )
      while (await isTaken());
      const answer = async () => await question!.respond(1, { timeout: 50 })
      await expectFailure(answer, 408, 'timeout', 'operation has timed out')
      questions.close()
    })

    test('what is not permitted', async () => {
      const client = fabric.client()
      const to = "permission denied publishing to 'secret.a' from null"
      for (const time of ['asked', 'remembered']) {
        await expectFailure(async () => await client.publish('secret.a', time), 403, to)
        await expectFailure(async () => await client.interest('secret.a'), 403, to)
        await expectFailure(
          async () => await client.subscribe('secret.*'),
          403,
          "permission denied subscribing to 'secret.*' from null",
        )
      }
    })

    test('one subscription too many', async () => {
      const client = fabric.client()
      // One is the inbox.
      for (let n = 1; n < 8; n++) await client.subscribe(`a.${n}`)
      await expectFailure(
        async () => await client.subscribe('a.8'),
        429,
        'there is a limit of at most 8 subscriptions',
      )
    })

    test('anything on what is closed', async () => {
      const { guest, socket } = await pair(fabric)
      socket.close()
      await expectFailure(() => socket.write(1), 'EPIPE', 'closed')
      await expectFailure(async () => await socket.request(1), 'ERR_CLOSED', 'closed')
      await guest.close()
      await expectFailure(async () => await guest.publish('a'), 'ERR_CLOSED', 'closed')
      await expectFailure(() => guest.subscribeSync('a'), 'ERR_CLOSED', 'closed')
    })

    test('a full window', async () => {
      const socket = fabric.client().socket.connect('nobody', { maxQueueSize: 1 })
      socket.write(1)
      await expectFailure(() => socket.write(2), 'ENOBUFS', 'WRITE FAILED: socket buffer size 1 exceeded')
    })

    test('a second queue group, and a second socket server', async () => {
      const client = fabric.client()
      await client.subscribe('a', { queue: 'q' })
      const second = async () => await client.subscribe('a', { queue: 'r' })
      await expectFailure(second, 'ERR_QUEUE_GROUP', 'one queue group')
      client.socket.listen('s')
      await expectFailure(
        () => client.socket.listen('s'),
        'ERR_ALREADY_LISTENING',
        "there can be at most one socket server per client listening on a subject (subject='s')",
      )
    })

    test('a service', async () => {
      const client: Client = fabric.client()
      await client.service('s', {
        fails() {
          throw new Error('the thrown text')
        },
      })
      await expectFailure(async () => await client.call('s').fails(), 'ERR_SERVICE', 'the thrown text')
      await expectFailure(async () => await client.call('s').other(), 'ERR_NOT_DEFINED', 'other not defined')
    })

    test('a bound that is not positive, and a subject that is none', async () => {
      const client = fabric.client()
      for (const bound of ['timeout', 'maxMessages', 'maxWait']) {
        const ask = async () => await client.requestMany('a', 1, { [bound]: 0 })
        await expectFailure(ask, 'ERR_OUT_OF_RANGE', 'must be positive')
      }
      await expectFailure(
        async () => await client.subscribe('a..b'),
        'ERR_INVALID_SUBJECT',
        "invalid subscribe subject 'a..b'",
      )
      await expectFailure(
        async () => await client.publish('a..b'),
        'ERR_INVALID_SUBJECT',
        'invalid publish subject a..b',
      )
    })
  },
  options,
)

test('a sign-in that is refused', async () => {
  const broker = init({
    port: null,
    getUser: () => {
      throw new Error('not you')
    },
  })
  const client = broker.client()
  await expectFailure(
    async () => await client.waitUntilSignedIn(),
    'ERR_SIGN_IN',
    'failed to sign in',
    'not you',
  )
  await client.close()
  await broker.close()
})
