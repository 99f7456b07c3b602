// Who connects to a server as another server of its subject, and says what none would say.
import { Party } from './party'
import { Process, SimulatedLink, World } from './world'

const OPTIONS = { presence: true, leaveDelay: 0, slowMember: 'close' } as const

/** A server, and a stranger with a link to it that is ready. */
async function meet(): Promise<{ world: World; party: Party; link: SimulatedLink }> {
  const world = new World(1)
  world.isStormy = false
  const party = new Party(world, 'a', OPTIONS, [])
  party.look('red')
  await world.runUntil(100)
  const link = new SimulatedLink(new Process(world, 'stranger'), 'chat.server.rooms.a')
  await world.runUntil(200)
  expect(link.state).toBe('ready')
  return { world, party, link }
}

const members = (party: Party): string[] => [...party.look('red').members.keys()]
const row = (n: number, room = 'red'): unknown[] => [room, `s${n}`, `k${n}`, null, n, false]

test('what is none of their messages does nothing, and what is one counts', async () => {
  const { world, party, link } = await meet()
  const nonsense: unknown[] = [
    null,
    'hello',
    [],
    ['table'],
    ['hello', 7],
    ['table', [row(1), ['red', 's2']], true],
    ['table', [['red', 's1', 5, null, 1, false]], true],
    ['table', [['x'.repeat(257), 's1', 'k1', null, 1, false]], true],
    ['changes', [[1, 2, 3]]],
    ['write', ['red'], [], false, 0, 9, new Uint8Array([1])],
    ['wrote', 1, 'all', []],
    ['close', 'red', []],
  ]
  for (const data of [...nonsense, ['hello', 'stranger'], ...nonsense.slice(4)]) link.write(data)
  await world.runUntil(world.now + 1000)
  expect([members(party), link.state]).toEqual([[], 'ready'])
  link.write(['table', [row(1)], true])
  await world.runUntil(world.now + 1000)
  expect(members(party)).toEqual(['k1'])
})

test.each([
  ['at once', 'table'],
  ['one after the other', 'changes'],
])('more members than a server may have close the link, if they come %s', async (_, kind) => {
  const { world, party, link } = await meet()
  link.write(['hello', 'stranger'])
  if (kind === 'changes') link.write(['table', [], true])
  for (let n = 0; n <= 100_000; n += 10_000) {
    const rows = Array.from({ length: 10_000 }, (_, i) => row(n + i, 'far'))
    link.write(kind === 'table' ? ['table', rows, n === 100_000] : ['changes', rows])
  }
  await world.runUntil(world.now + 1000)
  const far = party.rooms.members({ rooms: ['far'], except: [], isLocal: false })
  expect([link.state, far]).toEqual(['closed', []])
})

test('who takes the id of the server itself, or says nothing in time, is closed', async () => {
  const { world, party, link } = await meet()
  const silent = new SimulatedLink(link.where, 'chat.server.rooms.a')
  link.write(['hello', 'a'])
  await world.runUntil(world.now + 1000)
  expect([link.state, silent.state]).toEqual(['closed', 'ready'])
  await world.runUntil(world.now + 10_000)
  expect([silent.state, members(party)]).toEqual(['closed', []])
})
