// What members show and answer, which a client may have chosen: it does not part the servers of a room.
import { once } from 'node:events'
import type { ConatSocketClient, ConatSocketServer, Message, ServerSocket } from 'selvedge'
import { describeFabrics, type Fabric } from '../support/fabrics'
import { enter, listen } from './members'

/** Two servers that know each other, with a member each. */
async function two(fabric: Fabric): Promise<{
  left: ConatSocketServer
  right: ConatSocketServer
  ann: ServerSocket
  bob: ServerSocket
  annSide: ConatSocketClient
}> {
  const [left, right] = [await listen(fabric), await listen(fabric)]
  const [[ann, annSide], [bob, bobSide]] = [await enter(fabric, left), await enter(fabric, right)]
  for (const side of [annSide, bobSide]) side.on('data', () => {})
  const lost: unknown[] = []
  for (const listener of [left, right]) listener.on('peerLost', peer => lost.push(peer))
  const lobby = left.room('lobby')
  ann.join('lobby', { key: 'ann' })
  bob.join('lobby', { key: 'bob' })
  while (!lobby.members.has('bob')) await once(lobby, 'join')
  return { left, right, ann, bob, annSide }
}

function nested(levels: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < levels; level++) value = [value]
  return value
}

const UNTOLD: readonly [string, unknown][] = [
  ['a Map', { scores: new Map([['ann', 1]]) }],
  ['a promise', Promise.resolve(1)],
  ['a key __proto__', JSON.parse('{"__proto__":1}')],
  ['too many levels', nested(1020)],
]

describeFabrics('members of two servers', fabric => {
  test.each(UNTOLD)('cannot show %s, and nothing of the join is done', async (_, data) => {
    const { left, right, bob } = await two(fabric)
    const [eve] = await enter(fabric, right)
    for (const attempt of [() => eve.join('lobby', { key: 'eve', data }), () => bob.update('lobby', data)]) {
      expect(attempt).toThrow(expect.objectContaining({ code: 'ERR_ENCODE' }))
    }
    expect([eve.rooms.size, right.room('lobby').members.size]).toEqual([0, 2])
    expect(await left.to('lobby').send('hello')).toEqual({ delivered: 2, lost: [] })
  })

  test('show what they showed when they joined, to a server that comes later too', async () => {
    const { bob } = await two(fabric)
    const data: Record<string, unknown> = { mood: 'fine' }
    bob.update('lobby', data)
    data.mood = new Map()
    const late = (await listen(fabric)).room('lobby')
    const mood = (): unknown => (late.members.get('bob')?.data as { mood?: unknown } | null)?.mood
    while (mood() === undefined)
      await Promise.race(['join', 'update'].map(name => once(late, name as 'join')))
    expect(mood()).toBe('fine')
  })

  test('answer with any headers', async () => {
    const { left, right, annSide } = await two(fabric)
    annSide.on('request', request =>
      request.respond('yes', { headers: JSON.parse('{"__proto__":{"polluted":true},"n":1}') }),
    )
    const answers: Message[] = []
    for await (const answer of right.to('lobby').request('who?', { timeout: 20_000, maxMessages: 1 })) {
      if (!(answer instanceof Error)) answers.push(answer)
    }
    expect(answers.map(({ data, headers }) => [data, headers?.n])).toEqual([['yes', 1]])
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
    expect(await left.to('lobby').send('hello')).toEqual({ delivered: 2, lost: [] })
  })
})
