// Requests over a socket, by seeds: handlers that come and go, and requests that are given up, before and after they have
// arrived. What is not given up is answered as soon as there is a handler, in the order of the calls. LIB_SEEDS says how many.
import type { ConatSocketClient, Message, ServerSocket } from 'selvedge'
import { type Dice, dice } from '../support/dice'
import { describeFabrics } from '../support/fabrics'
import { pair } from '../support/sockets'

const SEEDS = Number(process.env.LIB_SEEDS ?? 30)
const STEPS = 25
/** Shorter than a request is held for its first handler. */
const TIMEOUT = 8000

type End = ConatSocketClient | ServerSocket

interface Asked {
  readonly number: number
  readonly controller: AbortController
  readonly answer: Promise<unknown>
  isGivenUp: boolean
}

class Run {
  readonly #chance: Dice
  readonly #from: End
  readonly #to: End
  readonly #asked: Asked[] = []
  readonly #seen: number[] = []
  #isHandling = false

  constructor(seed: number, from: End, to: End) {
    this.#chance = dice(seed)
    this.#from = from
    this.#to = to
  }

  async go(): Promise<void> {
    for (let step = 0; step < STEPS; step += 1) await this.#step()
    this.#setHandling(true)
    this.#ask()
    for (const asked of this.#asked) {
      const answer = await asked.answer
      if (!asked.isGivenUp) expect(answer).toBe(`re ${asked.number}`)
    }
    expect(this.#seen).toEqual([...this.#seen].sort((a, b) => a - b))
    expect(new Set(this.#seen).size).toBe(this.#seen.length)
    this.#setHandling(false)
  }

  async #step(): Promise<void> {
    switch (this.#chance.below(8)) {
      case 0:
      case 1:
      case 2:
        return this.#ask()
      case 3:
      case 4:
        return this.#giveUp()
      case 5:
        return this.#setHandling(this.#chance.below(3) === 0)
      case 6:
        // What was asked and given up before is known at the other end.
        await this.#from.send(0)
        return
      default:
        await new Promise(setImmediate)
    }
  }

  #ask(): void {
    const number = this.#asked.length
    const controller = new AbortController()
    const asking = this.#from.request(number, { signal: controller.signal, timeout: TIMEOUT })
    const answer = asking.then(
      ({ data }) => data,
      (error: unknown) => error,
    )
    this.#asked.push({ number, controller, answer, isGivenUp: false })
  }

  #giveUp(): void {
    if (this.#asked.length === 0) return
    for (const asked of this.#chance.below(2) === 0 ? this.#asked : [this.#chance.pick(this.#asked)]) {
      asked.isGivenUp = true
      asked.controller.abort()
    }
  }

  readonly #handle = (message: Message): void => {
    this.#seen.push(message.data as number)
    message.respondSync(`re ${message.data}`)
  }

  #setHandling(isHandling: boolean): void {
    if (isHandling === this.#isHandling) return
    this.#isHandling = isHandling
    if (isHandling) this.#to.on('request', this.#handle)
    else this.#to.off('request', this.#handle)
  }
}

describeFabrics('requests whose handlers come and go', fabric => {
  test(`are answered, by ${SEEDS} seeds each way`, async () => {
    const { server, socket } = await pair(fabric)
    for (const end of [server, socket]) end.on('data', () => {})
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      try {
        await new Run(seed, socket, server).go()
        await new Run(seed, server, socket).go()
      } catch (error) {
        throw Error(`seed ${seed}`, { cause: error })
      }
    }
  })
})
