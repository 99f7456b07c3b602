// Our emitter beside Node's: the same calls, the same order, the same answers.
import { EventEmitter, once } from 'node:events'
import { PacketEmitter } from 'selvedge/packets'
import { dice } from '../support/dice'

type Anything = Record<string, unknown[]>

test('random calls do to both emitters the same', () => {
  for (let seed = 0; seed < 300; seed++) {
    const [ours, theirs] = [new PacketEmitter<Anything>(), new EventEmitter()].map(emitter =>
      run(emitter as EventEmitter, seed),
    )
    expect([seed, ours]).toEqual([seed, theirs])
  }
})

/** What listeners and callers see, step by step. */
function run(emitter: EventEmitter, seed: number): unknown[] {
  const chance = dice(seed)
  // Node warns of many.
  emitter.setMaxListeners(0)
  const told: unknown[] = []
  const listeners = [0, 1, 2, 3].map(index => (...args: unknown[]) => {
    told.push([index, ...args])
    // Listeners that come and go while an event is told.
    if (index === 2) emitter.off('a', listeners[chance.below(4)]!)
    if (index === 3 && told.length < 200) emitter.on('b', listeners[chance.below(3)]!)
  })
  for (let step = 0; step < 30; step++) {
    const name = chance.pick(['a', 'b', 'c'])
    const listener = chance.pick(listeners)
    const call = chance.pick([
      'on',
      'once',
      'prependListener',
      'prependOnceListener',
      'off',
      'removeListener',
      'addListener',
    ] as const)
    if (chance.below(3) === 0) told.push(emitter.emit(name, step, 'x'))
    else if (chance.below(12) === 0) emitter.removeAllListeners(...chance.pick([[name], []]))
    else told.push(emitter[call](name, listener) === emitter)
    told.push(emitter.listenerCount(name), emitter.listenerCount(name, listener), emitter.eventNames().sort())
    told.push(
      emitter.listeners(name).map(each => listeners.indexOf(each as (typeof listeners)[0])),
      emitter.rawListeners(name).length,
    )
  }
  return told
}

test('`once` of node:events waits for it', async () => {
  const emitter = new PacketEmitter<{ done: [number] }>()
  const done = once(emitter as unknown as EventEmitter, 'done')
  emitter.emit('done', 7)
  expect(await done).toEqual([7])
  expect(emitter.eventNames()).toEqual([])
  expect(() => emitter.on('done', undefined as never)).toThrow(TypeError)
  expect(emitter.setMaxListeners(3).getMaxListeners()).toBe(3)
})
