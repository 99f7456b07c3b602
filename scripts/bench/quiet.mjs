import { now, sleep } from './clock.mjs'
import { machineCpu } from './usage.mjs'

const calm = 0.2 // cores

/** Waits until the machine is nearly idle, but at most `limit` ms. */
export async function quiet(limit) {
  const stop = now() + limit
  while (now() < stop) {
    const [at, busy] = [now(), machineCpu()]
    await sleep(400)
    if ((machineCpu() - busy) / (now() - at) < calm) return
  }
}
