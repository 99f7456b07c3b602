// The function by which the engine wakes this copy of `lib`. Imports nothing, so that it holds nothing: the engine
// refers to it for as long as the process lives, and the copy must be free to go.

/** What the engine wakes. */
export interface Sleeper {
  /** Set while something is open: then the copy must stay, also if nobody refers to it. */
  awake: (() => void) | undefined
  readonly idle: WeakRef<() => void>
}

export function wakeOf(sleeper: Sleeper): () => void {
  return () => {
    const turn = sleeper.awake ?? sleeper.idle.deref()
    turn?.()
  }
}
