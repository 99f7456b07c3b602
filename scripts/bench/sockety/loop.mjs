// The load of the reference's benchmark: so many operations at work, and those that are done begin anew in a later turn.
import { now } from '../clock.mjs'

/** Runs `operation`, which returns a promise, for `dur` ms with `parallel` at once. Resolves when all of them are done. */
export function closedLoop({ dur, parallel, operation }) {
  return new Promise((resolve, reject) => {
    const start = now()
    let [count, pending, isScheduled] = [0, 0, false]
    const refill = () => {
      isScheduled = false
      if (now() < start + dur) for (; pending < parallel; pending++) operation().then(settle, reject)
      else if (pending === 0) resolve({ count, rate: (count / (now() - start)) * 1000 })
    }
    const settle = () => {
      pending--
      count++
      if (isScheduled) return
      isScheduled = true
      setImmediate(refill)
    }
    refill()
  })
}
