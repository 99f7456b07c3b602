// Callbacks of the user that go wrong break nothing but themselves. Node hears of what they throw, as of any handler's.
import { run } from './run'

const EMITTED = [
  'client closed',
  'client connected',
  'client disconnected',
  'client inbox',
  'client info',
  'closed',
  'connection',
  'data',
  'listener disconnected',
  'listener ready',
  'message',
  'request',
  'socket disconnected',
  'socket drain',
  'socket ready',
  'watch',
]

const THROUGH = {
  data: [0, 1, 2, 3, 4, 'after'],
  requests: [1, 2],
  messages: [1, 2, 3, 'after'],
  watched: [1, 2, 3, 'after'],
  connections: 1,
  answers: ['answer', 'answer'],
  fine: 'fine',
  state: ['closed', 'closed', 'closed'],
}

test.each([
  // What a service throws is its caller's to hear, and a load balancer that fails is asked again: neither reaches the process.
  ['throws', { thrown: EMITTED, again: [], outcome: 'ERR_SERVICE' }],
  ['rejects', { thrown: EMITTED, again: [], outcome: 'ERR_SERVICE' }],
  ['hangs', { thrown: [], again: [], outcome: 408 }],
  ['re-enters', { thrown: [], again: [...EMITTED, 'balancer', 'service'].sort(), outcome: 'returned' }],
])('every callback %s, and everything arrives all the same', async (how, expected) => {
  const ended = await run('callbacks.mjs', [how])
  expect({ code: ended.code, signal: ended.signal, stderr: ended.stderr }).toEqual({
    code: 0,
    signal: null,
    stderr: '',
  })
  expect(JSON.parse(ended.stdout)).toEqual({ ...THROUGH, ...expected })
})

test.each(['data', 'held data', 'message', 'request', 'connection'])(
  'handlers of %s behind one that threw run in a later turn, and not at all in a process that dies of it',
  async event => {
    const survives = await run('throws-in-order.mjs', [event, 'survives'])
    expect(survives).toMatchObject({ code: 0, stdout: '1,caught 1,2,3,caught 3,4', stderr: '' })
    const dies = await run('throws-in-order.mjs', [event, 'dies'])
    expect(dies).toMatchObject({ code: 1, stdout: '1' })
  },
)
