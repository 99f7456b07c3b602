// What the members of a listener may take.
import type { FabricError } from 'selvedge'
import { Member, Party } from './party'
import { World } from './world'

test('members take 64 MiB at most, and nothing of a join that would take more', () => {
  const world = new World(1)
  const party = new Party(world, 'a', { presence: true, leaveDelay: 0, slowMember: 'close' }, [])
  const data = 'x'.repeat(4000)
  const rooms = Array.from({ length: 500 }, (_, n) => `room ${n}`)
  let joined = 0
  let failure: FabricError | undefined
  const members: Member[] = []
  while (failure === undefined && joined < 100_000) {
    const member = new Member(party)
    try {
      party.rooms.join(member, rooms, { data })
      members.push(member)
      joined += rooms.length
    } catch (error) {
      failure = error as FabricError
      expect(party.rooms.roomsOf(member.id).size).toBe(0)
    }
  }
  expect(failure).toMatchObject({ code: 'ERR_ROOM_LIMIT', message: expect.stringContaining('67108864') })
  expect(joined).toBeGreaterThan(15_000)
  // Who leaves, or has less data, makes room.
  const next = new Member(party)
  for (const room of rooms) party.rooms.update(members[0]!, room, 'less')
  party.rooms.join(next, rooms, { data })
  for (const room of rooms) party.rooms.leave(members[1]!, room)
  party.rooms.join(new Member(party), rooms, { data })
})
