// Every mix of our broker, servers and clients with peers of the original's kind, in both of its dialects.
import { MIXES, type Mix, Pair } from './parties'
import {
  askBothWays,
  closeBy,
  cutEachTransport,
  type Open,
  restartBroker,
  send12MB,
  streamBothWays,
} from './scenarios'
import {
  emptyTheirWindow,
  fallSilent,
  keepAlive,
  loseMessages,
  loseThousands,
  repeatMessages,
  reportLate,
  type Sides,
} from './scenarios-mixed'

// A file for each broker, so that they run side by side.
export function testMixes(broker: Mix['broker']): void {
  describe.each(MIXES)(`${broker} broker, $server server, $client client`, ends =>
    testMix({ broker, ...ends }),
  )
}

function testMix(mix: Mix): void {
  let pair: Pair | undefined
  const open: Open = async options => (pair = await Pair.open(mix, options))
  afterEach(async () => {
    await pair?.close()
    pair = undefined
  })

  test('hundreds of messages go both ways, in order, with their headers', () => streamBothWays(open))
  test('both sides ask and answer', () => askBothWays(open))
  test('a message of 12 MB arrives both ways', () => send12MB(open))
  test('a broker that restarts loses nothing, repeats nothing', () => restartBroker(open))
  test('cutting either transport loses nothing, repeats nothing', () => cutEachTransport(open))
  test.each(['client', 'server', 'listener'] as const)('closed by the %s, the other end closes', by =>
    closeBy(open, by),
  )
  const sides = sidesOf(mix)
  if (sides !== undefined) testMixedEnds(open, sides)
}

/** Of an end of ours with one of theirs. */
function sidesOf({ server, client }: Mix): Sides | undefined {
  if ((server === 'ours') === (client === 'ours')) return undefined
  return server === 'ours' ? { ours: 'server', theirs: 'client' } : { ours: 'client', theirs: 'server' }
}

function testMixedEnds(open: Open, sides: Sides): void {
  test('what gets lost either way is asked for', () => loseMessages(open, sides))
  test('a long gap is asked for in numeric order, at most 1000 numbers at a time', () =>
    loseThousands(open, sides))
  test('what is sent twice arrives once', () => repeatMessages(open, sides))
  test('late reports fill our window, then empty it', () => reportLate(open, sides))
  test('our reports empty their window', () => emptyTheirWindow(open, sides))
  test('a peer that falls silent is noticed', () => fallSilent(open, sides))
  test('their keep-alive hears us', () => keepAlive(open, sides))
}
