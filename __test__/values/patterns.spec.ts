// The class `Patterns` against a model that looks at every pattern.
import { FabricError, matchesPattern, Patterns } from 'selvedge'
import { dice } from '../support/dice'

describe('Patterns', () => {
  test('finds what a subject matches: `*` for one token, `>` for one or more', () => {
    const patterns = new Patterns<number>().set('a.b', 1).set('a.*', 2).set('a.>', 3).set('>', 4).set('*', 5)
    expect(patterns.matches('a.b').sort()).toEqual(['>', 'a.*', 'a.>', 'a.b'])
    expect(patterns.matches('a.b.c').sort()).toEqual(['>', 'a.>'])
    expect(patterns.matches('a').sort()).toEqual(['*', '>'])
    expect(patterns.hasMatch('x')).toBe(true)
    expect(patterns.size).toBe(5)
  })

  test('matches no more what was deleted, whatever is below it', () => {
    const patterns = new Patterns<number>().set('a.b', 1).set('a.b.c', 2)
    expect(patterns.delete('a.b')).toBe(true)
    expect(patterns.delete('a.b')).toBe(false)
    expect([patterns.matches('a.b'), patterns.hasMatch('a.b'), patterns.get('a.b')]).toEqual([
      [],
      false,
      undefined,
    ])
    expect(patterns.matches('a.b.c')).toEqual(['a.b.c'])
    expect(patterns.delete('a')).toBe(false)
    expect(patterns.delete('a.b.c.d')).toBe(false)
  })

  test('keeps tokens named like members of every object apart from them', () => {
    const patterns = new Patterns<number>()
    expect(patterns.hasMatch('__proto__.polluted')).toBe(false)
    expect(patterns.get('constructor')).toBeUndefined()
    patterns.set('__proto__.polluted', 1).set('__proto__', 2).set('constructor', 3)
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    expect(patterns.matches('__proto__.polluted')).toEqual(['__proto__.polluted'])
    const { patterns: data } = patterns.serialize()
    expect(Object.keys(data).sort()).toEqual(['__proto__', '__proto__.polluted', 'constructor'])
    const copy = new Patterns<number>()
    copy.deserialize(patterns.serialize())
    expect([...copy].sort()).toEqual([...patterns].sort())
  })

  test('refuses what is no pattern, and then has not changed', () => {
    const patterns = new Patterns<number>().set('a', 1)
    for (const bad of ['', 'a..b', 'a b', '>.a', null, 7]) {
      expect(() => patterns.set(bad as string, 1)).toThrow(FabricError)
      expect(patterns.matches(bad as string)).toEqual([])
      expect(patterns.delete(bad as string)).toBe(false)
    }
    expect(() => patterns.deserialize({ patterns: { b: 1, 'a..b': 2 } })).toThrow('invalid subject')
    expect([...patterns]).toEqual([['a', 1]])
  })

  test('looks up a subject of hundreds of tokens, and gives back what it no longer needs', () => {
    const long = Array.from({ length: 400 }, () => 'a').join('.')
    const patterns = new Patterns<number>().set(long, 1).set('a.>', 2)
    expect(patterns.matches(long)).toEqual(['a.>', long])
    patterns.clear()
    expect([patterns.size, patterns.hasMatch(long)]).toEqual([0, false])
  })

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('agrees with a model after any changes (seed %i)', seed => {
    const { pick, below } = dice(seed)
    const TOKENS = ['a', 'b', '*', '__proto__', 'constructor', 'ü']
    const name = (last: string[]) => {
      const tokens = Array.from({ length: below(4) }, () => pick(TOKENS))
      return [...tokens, pick(last)].join('.')
    }
    const patterns = new Patterns<number>()
    const model = new Map<string, number>()
    for (let step = 0; step < 600; step++) {
      const pattern = name([...TOKENS, '>'])
      if (below(3) === 0) expect(patterns.delete(pattern)).toBe(model.delete(pattern))
      else {
        patterns.set(pattern, step)
        model.set(pattern, step)
      }
      const subject = name(TOKENS).replaceAll('*', 'a')
      const expected = [...model.keys()].filter(one => matchesPattern({ pattern: one, subject }))
      expect(patterns.matches(subject).sort()).toEqual(expected.sort())
      expect(patterns.hasMatch(subject)).toBe(expected.length > 0)
      expect(patterns.get(pattern)).toBe(model.get(pattern))
      expect(patterns.hasPattern(pattern)).toBe(model.has(pattern))
      expect(patterns.size).toBe(model.size)
    }
    expect(Object.entries(patterns.patterns).sort()).toEqual([...model].sort())
  })
})
