// What a page tells: that it is awake again, is about to be put away, or ends.

/** What is used of `document` and of the global object. Neither need be there: a worker has no document. */
interface Target {
  addEventListener?(name: string, listener: (event: { persisted?: boolean }) => void): void
  removeEventListener?(name: string, listener: (event: { persisted?: boolean }) => void): void
}

export interface PageHandlers {
  /** It is visible again, woken up, or the network is back. */
  handleWake(): void
  /** It is put away, and may come back as it is. */
  handlePutAway(): void
  /** It has come back. */
  handleBack(): void
  handleEnd(): void
}

/** Listens, and returns what ends that. */
export function watchPage(handlers: PageHandlers): () => void {
  const page = globalThis as unknown as Target & { document?: Target & { visibilityState?: string } }
  const { document } = page
  const ends: (() => void)[] = []
  const on = (
    target: Target | undefined,
    name: string,
    handle: (event: { persisted?: boolean }) => void,
  ): void => {
    target?.addEventListener?.(name, handle)
    ends.push(() => target?.removeEventListener?.(name, handle))
  }
  const wake = (): void => handlers.handleWake()
  on(document, 'visibilitychange', () => {
    if (document?.visibilityState === 'visible') wake()
  })
  on(document, 'resume', wake)
  on(page, 'online', wake)
  on(page, 'focus', wake)
  on(page, 'pageshow', ({ persisted }) => persisted && handlers.handleBack())
  on(page, 'pagehide', ({ persisted }) => (persisted ? handlers.handlePutAway() : handlers.handleEnd()))
  return () => {
    for (const end of ends) end()
  }
}
