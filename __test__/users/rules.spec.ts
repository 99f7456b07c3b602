// What rules allow, against a slow definition: a pattern stands for all subjects that it matches.
import { matchesPattern } from 'selvedge'
import { mayPublish, maySubscribe, NOTHING, type Rules } from '../../lib/users/rules'
import { containsPattern, overlapsPattern } from '../../lib/values/subjects'
import { dice } from '../support/dice'

const TOKENS = ['a', 'b', 'c']

function randomPattern(pick: (below: number) => number): string {
  const length = 1 + pick(4)
  const tokens = Array.from({ length }, () => (pick(3) === 0 ? '*' : TOKENS[pick(3)]!))
  return (pick(4) === 0 ? [...tokens, '>'] : tokens).join('.')
}

/** Every subject of up to five of the tokens. */
const SUBJECTS: readonly string[] = (() => {
  let level = ['']
  const all: string[] = []
  for (let length = 1; length <= 5; length += 1) {
    level = level.flatMap(start =>
      [...TOKENS, 'd'].map(token => (start === '' ? token : `${start}.${token}`)),
    )
    all.push(...level)
  }
  return all
})()

test('containment and overlap of patterns are those of the subjects that they match', () => {
  const { below: pick } = dice(1)
  for (let round = 0; round < 400; round += 1) {
    const [one, other] = [randomPattern(pick), randomPattern(pick)]
    const ofOne = SUBJECTS.filter(subject => matchesPattern(one, subject))
    const ofOther = SUBJECTS.filter(subject => matchesPattern(other, subject))
    const contained = ofOther.every(subject => ofOne.includes(subject))
    const overlapping = ofOther.some(subject => ofOne.includes(subject))
    expect({ one, other, contains: containsPattern(one, other) }).toEqual({ one, other, contains: contained })
    expect({ one, other, overlaps: overlapsPattern(one, other) }).toEqual({
      one,
      other,
      overlaps: overlapping,
    })
  }
})

const with_ = (rules: Partial<Rules>): Rules => ({ ...NOTHING, ...rules })
const INBOX = '_INBOX.0123456789abcdef.*'

test.each<[string, Partial<Rules>, 'pub' | 'sub', string, boolean]>([
  ['nothing is allowed that is not written', {}, 'pub', 'a', false],
  ['nothing is allowed that is not written', {}, 'sub', 'a', false],
  ['a pattern allows its subjects', { pub: ['a.*'] }, 'pub', 'a.b', true],
  ['and no others', { pub: ['a.*'] }, 'pub', 'a.b.c', false],
  ['a subscription must be contained', { sub: ['a.*'] }, 'sub', 'a.>', false],
  ['a subscription must be contained', { sub: ['a.>'] }, 'sub', 'a.*.b', true],
  ['what is denied wins', { pub: ['>'], denyPub: ['admin.>'] }, 'pub', 'admin.x', false],
  ['a subscription must not overlap', { sub: ['>'], denySub: ['admin.>'] }, 'sub', 'x.>', true],
  ['a subscription must not overlap', { sub: ['*.>'], denySub: ['b.admin'] }, 'sub', 'b.*', false],
  ['everybody answers', {}, 'pub', '_INBOX.abc.1', true],
  ['everybody has an inbox', {}, 'sub', INBOX, true],
  ['a name of an inbox', {}, 'sub', '_INBOX_ann.0123456789abcdef.*', true],
  ["another user's is theirs", {}, 'sub', '_INBOX_bob.0123456789abcdef.*', false],
  ["another user's is theirs", { sub: ['>'] }, 'sub', '_INBOX_bob.0123456789abcdef.*', false],
  ['a short token could be guessed', {}, 'sub', '_INBOX.short.*', false],
  ['inboxes are private', { sub: ['>'] }, 'sub', '>', false],
  ['inboxes are private', { sub: ['>'] }, 'sub', '*', false],
  ['inboxes are private', { sub: ['>'] }, 'sub', '*.*.*', false],
  ['inboxes are private', { sub: ['>'] }, 'sub', '_INBOX.>', false],
  ['inboxes are private', { sub: ['>'] }, 'sub', '_INBOX.*.*', false],
  ['unless the role says so', { sub: ['>'], inboxes: true }, 'sub', '>', true],
  ['a wide pattern is fine elsewhere', { sub: ['>'] }, 'sub', 'a.>', true],
  ['and hears the ends of sockets', { sub: ['>'] }, 'sub', 'chat.a.client.ann~1', true],
  ['a client asks servers', { connect: ['chat.*'] }, 'pub', 'chat.a.server.status', true],
  ['a client asks servers', { connect: ['chat.*'] }, 'pub', 'chat.a.server.x.y', true],
  ['of its subjects', { connect: ['chat.*'] }, 'pub', 'mail.a.server.x.y', false],
  ['but not their rooms', { connect: ['chat.*'] }, 'pub', 'chat.a.server.rooms', false],
  ['but not their rooms', { connect: ['chat.*'] }, 'pub', 'chat.a.server.rooms.x', false],
  ['nor through a wide pattern', { connect: ['>'] }, 'pub', 'chat.a.server.rooms', false],
  ['nor through a wide pattern', { connect: ['>'] }, 'pub', 'chat.a.server.rooms.x.server.status', false],
  ['nor through a wide pattern', { connect: ['chat.>'] }, 'pub', 'chat.a.server.rooms.x.server.x.id', false],
  ['nor through a wide pattern', { connect: ['chat.>'] }, 'sub', 'chat.a.server.rooms.x.client.id', false],
  ['a client hears its socket', { connect: ['chat.*'] }, 'sub', 'chat.a.client.id', true],
  ['not those of all', { connect: ['chat.*'] }, 'sub', 'chat.a.client.*', false],
  ['not those of all', { connect: ['chat.*'] }, 'sub', 'chat.a.client.>', false],
  ['any subject', { connect: ['>'] }, 'sub', 'a.b.client.id', true],
  ['a server hears its clients', { listen: ['chat.*'] }, 'sub', 'chat.a.server.id.*', true],
  ['and speaks to them', { listen: ['chat.*'] }, 'pub', 'chat.a.client.id', true],
  ['and to its rooms', { listen: ['chat.*'] }, 'pub', 'chat.a.server.rooms.x', true],
  ['and to its rooms', { listen: ['chat.*'] }, 'pub', 'chat.a.server.rooms.x.server.x.id', true],
  ['and to its rooms', { listen: ['chat.*'] }, 'pub', 'chat.a.server.rooms.x.client.id', true],
  ['and hears its rooms', { listen: ['chat.*'] }, 'sub', 'chat.a.server.rooms', true],
  ['and hears its rooms', { listen: ['chat.*'] }, 'sub', 'chat.a.server.rooms.x.client.id', true],
  ['not as a client', { listen: ['chat.*'] }, 'pub', 'chat.a.server.id.x', false],
  ['a name that holds the word', { connect: ['a.server.b'] }, 'pub', 'a.server.b.server.status', true],
])('%s: %j may %s %s: %s', (_, rules, type, subject, expected) => {
  const isOwnEnd = (): boolean => true
  const isAllowed =
    type === 'pub'
      ? mayPublish(with_(rules), subject, isOwnEnd)
      : maySubscribe(with_(rules), subject, { isOwnEnd, isOfAnother: name => name === 'bob' })
  expect(isAllowed).toBe(expected)
})
