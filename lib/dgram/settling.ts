// The callbacks of sends: those of one turn are called together, behind it, in order.
import { nextTick } from '../values/platform'
import type { SendCall, SendCallback } from './send-arguments'

type Due = readonly [callback: SendCallback, error: Error | null, sent: number | undefined]

let due: Due[] = []

/** Calls back, never inside the call. */
export function settle({ callback }: SendCall, error: Error | null, sent?: number): void {
  if (callback === undefined) return
  if (due.length === 0) nextTick(callAll)
  due.push([callback, error, sent])
}

function callAll(): void {
  const calls = due
  due = []
  let at = 0
  try {
    while (at < calls.length) {
      const [callback, error, sent] = calls[at++] as Due
      callback(error, sent)
    }
  } finally {
    // One that throws keeps nobody else from hearing.
    if (at < calls.length) {
      due = [...calls.slice(at), ...due]
      nextTick(callAll)
    }
  }
}
