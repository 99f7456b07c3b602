// What a sender repeats for a while.
import { now, turn } from './clock.mjs'
import { check, make } from './payload.mjs'

const big = 64 * 1024

/** Sends for `dur` ms, `burst` messages to each of `sends` in turn, numbered for each by itself. */
export async function flow({ dur, size, sends, burst = 1 }) {
  const numbers = new Uint32Array(sends.length)
  const start = now()
  const stop = start + dur
  let sent = 0
  for (let at = 0; ; at = (at + 1) % sends.length) {
    for (let n = 0; n < burst; n++) {
      const waits = sends[at](make(numbers[at]++, size))
      sent++
      if (waits) await waits
      if (sent % 64 !== 0 && size < big) continue
      if (now() > stop) return { start, sent }
      // The event loop gets its turn, as in a program that does something else too.
      if (sent % 256 === 0 || size >= big) await turn()
    }
  }
}

/** Asks for `dur` ms, with `parallel` questions in flight. */
export async function trips({ dur, size, parallel, request }) {
  const times = []
  const start = now()
  const stop = start + dur
  let n = 0
  await Promise.all(Array.from({ length: parallel }, one))
  return { count: times.length, rate: (times.length / (now() - start)) * 1000, ...percentiles(times) }

  async function one() {
    for (let end = 0; end < stop; ) {
      const number = n++
      const begin = now()
      const echo = await request(make(number, size))
      end = now()
      times.push(end - begin)
      if (check(echo) !== number) throw Error(`request ${number} got another answer`)
    }
  }
}

/** Opens sockets for `dur` ms, `max` at most, `parallel` at a time. */
export async function opens({ dur, parallel, max, open }) {
  const times = []
  const start = now()
  const stop = start + dur
  let begun = 0
  await Promise.all(Array.from({ length: parallel }, one))
  return { count: times.length, rate: (times.length / (now() - start)) * 1000, ...percentiles(times) }

  async function one() {
    while (begun < max && now() < stop) {
      begun++
      const begin = now()
      await open()
      times.push(now() - begin)
    }
  }
}

/** In µs. */
function percentiles(times) {
  times.sort((a, b) => a - b)
  const at = part => times[Math.min(times.length - 1, Math.floor(part * times.length))] * 1000
  return { p50: at(0.5), p99: at(0.99) }
}
