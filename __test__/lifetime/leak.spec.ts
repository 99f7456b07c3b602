// What is closed is given back: objects, handles, what keeps the process alive, memory.
import { run } from './run'

interface Measure {
  live: Record<string, number>
  handles: number
  resources: number
  rss: number
}

/** A cycle moves six payloads of 100 kB; one that stayed for each cycle would be 10 MB at least. */
const MOST_GROWTH = 8 * 1024 * 1024

for (const [what, cycles] of [
  ['sockets', 300],
  ['clients', 100],
] as const) {
  test.each(['-', 'port'])(
    `${cycles} ${what} that come, talk and go leave nothing behind: %s`,
    async place => {
      const node = ['--expose-gc', '--no-warnings']
      const ended = await run('leak.cjs', [what, String(cycles), place], { node })
      expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 0, stderr: '' })
      const { before, after } = JSON.parse(ended.stdout) as { before: Measure; after: Measure }
      // One client that makes the sockets and one with the server; its subscription answers.
      expect(after.live).toEqual({
        Client: 2,
        ConatSocketClient: 0,
        ServerSocket: 0,
        Ticket: 0,
        Subscription: 1,
      })
      // The broker, the two clients, the server, the subscription.
      expect({ before: before.handles, after: after.handles }).toEqual({ before: 5, after: 5 })
      expect(after.resources).toBe(before.resources)
      expect(after.rss - before.rss).toBeLessThan(MOST_GROWTH)
    },
  )
}
