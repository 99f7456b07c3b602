// The client of pages and the engine are two machines for one protocol. Transcripts say what the engine's end of a socket was
// given in a simulation, and what it said (tests/sim/transcripts; `npm run transcripts` writes them): the machine of a page is
// given the same, and says the same at the same moments.
//
// What is the same: how messages are framed does not count, and in which order things are said at one moment does only within
// each kind, and not which of several requests fails first. A question and its repetitions are one.
//
// `TRANSCRIPTS=FILE` reads others: `npm run transcripts -- FILE 10000` writes so many of new seeds.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Line, replay, type Transcript } from './transcript'

const transcripts = readFileSync(
  process.env.TRANSCRIPTS ?? join(__dirname, '../../tests/data/socket/transcripts.jsonl'),
  'utf8',
)
  .trimEnd()
  .split('\n')
  .map(line => JSON.parse(line) as Transcript)

/** Times that differ by less, in microseconds, are one moment. */
const MOMENT = 100

interface Moment {
  at: number
  /** What was said, by its word. */
  said: Map<string, string[]>
}

function momentsOf(lines: readonly Line[]): Moment[] {
  const moments: Moment[] = []
  for (const [at, word, ...rest] of lines) {
    let moment = moments.at(-1)
    if (moment === undefined || at - moment.at > MOMENT) {
      moment = { at, said: new Map() }
      moments.push(moment)
    }
    const said = moment.said.get(word) ?? []
    const text = JSON.stringify(rest)
    // What two questions bring again at once is one.
    if (word !== 'send' || !said.includes(text)) said.push(text)
    moment.said.set(word, word === 'failed' ? said.sort() : said)
  }
  return moments
}

function show(moment: Moment | undefined): string[] {
  if (moment === undefined) return ['nothing more']
  const words = [...moment.said.keys()].sort()
  return [`at ${(moment.at / 1000).toFixed(2)} ms`, ...words.map(word => `${word} ${moment.said.get(word)}`)]
}

/** Returns the first moment that differs, as the engine has it and as the page has it. */
function firstDifference(
  ours: readonly Moment[],
  engines: readonly Moment[],
): [string[], string[]] | undefined {
  for (let n = 0; n < Math.max(ours.length, engines.length); n++) {
    const [our, engine] = [ours[n], engines[n]]
    const isSameTime = Math.abs((our?.at ?? 0) - (engine?.at ?? 0)) <= MOMENT
    const [[, ...shown], [, ...expected]] = [show(our), show(engine)]
    if (!isSameTime || shown.join() !== expected.join()) return [show(engine), show(our)]
  }
  return undefined
}

test(`${transcripts.length} transcripts of the engine: the client of pages says the same`, () => {
  expect(transcripts.length).toBeGreaterThanOrEqual(200)
  const different = transcripts.flatMap(transcript => {
    const difference = firstDifference(momentsOf(replay(transcript)), momentsOf(transcript.said))
    return difference === undefined
      ? []
      : [{ seed: transcript.seed, engine: difference[0], page: difference[1] }]
  })
  expect(different.slice(0, 5)).toEqual([])
})

test('the transcripts have all that an end of a socket may hear and say', () => {
  const words = (lines: (transcript: Transcript) => Line[]) =>
    new Set(transcripts.flatMap(transcript => lines(transcript).map(([, word]) => word)))
  expect([...words(({ given }) => given)].sort()).toEqual(
    [
      ...[
        'answer',
        'ask',
        'close',
        'confirmed',
        'connect',
        'consumed',
        'disconnect',
        'down',
        'end',
        'looked',
      ],
      ...['data', 'message', 'nobody', 'presence', 'reply', 'up', 'write'],
    ].sort(),
  )
  expect([...words(({ said }) => said)].sort()).toEqual(
    [
      ...[
        'acked',
        'bye',
        'cancelled',
        'close',
        'closed',
        'connect',
        'ended',
        'failed',
        'find',
        'got',
        'look',
      ],
      ...['send', 'settled', 'state', 'status', 'undelivered'],
    ].sort(),
  )
})
