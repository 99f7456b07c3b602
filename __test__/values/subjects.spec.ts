// The rules of names and patterns: those of lib/values are the engine's (src/subject), for any text.
import { isValidSubject, isValidSubjectWithoutWildcards, matchesPattern } from 'selvedge'
import { type Dice, dice } from '../support/dice'

/** What the engine has for this comparison. */
const engine = require('../../native.js') as {
  checkSubject(text: string): boolean
  checkPattern(text: string): boolean
  matches(pattern: string, subject: string): boolean
}

const PIECES = [
  ...['a', 'b', 'ab', '.', '.', '.', '*', '>', '.>', '.*', '*.', '>.'],
  ...['\0', '\x01', '\t', '\n', '\v', '\f', '\r', '\x1b', ' ', '~', '\x7f', '\x85', '\xa0', '\u1680'],
  ...['\u180e', '\u2003', '\u200b', '\u2028', '\u2029', '\u202f', '\u205f', '\u3000', '\ufeff', '\uff0e'],
  ...['ü', '🧵', '__proto__', '$SYS', '\u00ad', '\u061c', '\u2060'],
]

function text(random: Dice): string {
  return Array.from({ length: 1 + random.below(7) }, () => random.pick(PIECES)).join('')
}

/** Mostly valid, over an alphabet so small that it often matches. */
function tokens(random: Dice, letters: readonly string[]): string {
  return Array.from({ length: 1 + random.below(4) }, () => random.pick(letters)).join('.')
}

function differences(texts: Iterable<string>): string[] {
  const found: string[] = []
  for (const each of texts) {
    if (isValidSubjectWithoutWildcards(each) !== engine.checkSubject(each)) found.push(`subject ${each}`)
    if (isValidSubject(each) !== engine.checkPattern(each)) found.push(`pattern ${each}`)
  }
  return found
}

test.each([1, 2, 3])('are the same for texts of odd characters, seed %i', seed => {
  const random = dice(seed)
  expect(differences(Array.from({ length: 20_000 }, () => text(random)))).toEqual([])
})

test('are the same for every character', () => {
  const all = Array.from({ length: 0x1_0000 }, (_, unit) => unit).filter(
    unit => unit < 0xd800 || unit > 0xdfff,
  )
  expect(differences(all.map(unit => `a${String.fromCharCode(unit)}b`))).toEqual([])
})

test('are the same at the bounds: 8 KiB of UTF-8, and 512 tokens', () => {
  const long = [8191, 8192, 8193].map(length => 'x'.repeat(length))
  const wide = [2730, 2731, 4096, 4097].flatMap(length => ['€', 'ü'].map(letter => letter.repeat(length)))
  const deep = [511, 512, 513].map(count => Array(count).fill('a').join('.'))
  expect(differences([...long, ...wide, ...deep, ...deep.map(each => `${each}.>`)])).toEqual([])
  expect(long.map(isValidSubject)).toEqual([true, true, false])
  expect(deep.map(isValidSubject)).toEqual([true, true, false])
})

test.each([1, 2, 3])('match the same, seed %i', seed => {
  const random = dice(seed)
  const found: [string, string][] = []
  let matches = 0
  for (let i = 0; i < 20_000; i++) {
    const pattern = random.below(9) === 0 ? text(random) : tokens(random, ['a', 'b', '*', '>'])
    const subject = random.below(9) === 0 ? text(random) : tokens(random, ['a', 'b', 'c', '*', '>'])
    const isMatch = matchesPattern({ pattern, subject })
    if (isMatch) matches += 1
    if (isMatch !== engine.matches(pattern, subject)) found.push([pattern, subject])
  }
  expect(found).toEqual([])
  expect(matches).toBeGreaterThan(1000)
})

test('half of a surrogate pair is refused: it has no UTF-8, and would be taken for another subject', () => {
  expect([isValidSubject('a\ud800'), isValidSubjectWithoutWildcards('\udc00.a')]).toEqual([false, false])
  expect(matchesPattern({ pattern: '*', subject: '\ud800' })).toBe(false)
})
