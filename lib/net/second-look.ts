// Whether a subject has an owner. For some ms one who has let go of it may still be known elsewhere in a cluster.
import { startTimer } from '../async/timer'

/** From one look to the next, in ms. */
const PAUSE = 50
/** So long somebody who has left may be known. */
const AFTERGLOW = 250

/** Returns whether what `look` sees is there, and stays. */
export async function stays(look: () => Promise<boolean>): Promise<boolean> {
  for (let waited = 0; await look(); waited += PAUSE) {
    if (waited >= AFTERGLOW) return true
    await new Promise<void>(resolve => startTimer(PAUSE, resolve))
  }
  return false
}
