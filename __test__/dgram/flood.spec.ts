// A flood of datagrams for a thread that is busy: it keeps as many as `recvBufferSize` says, counts the rest, and stays connected.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { over } from 'selvedge/dgram'
import { until } from '../support/events'
import { describeFabric } from '../support/fabrics'

const KIB = 1024

for (const kind of ['selvedge wire', 'conat wire', 'nats', 'gateways'] as const) {
  describeFabric(kind, 'a flood', fabric => {
    test.each([
      ['large datagrams', 1000, 16 * KIB, 0],
      ['tiny ones', 20_000, 1, 0],
      ['what has large headers', 1000, 1, 16 * KIB],
    ])('of %s: the newest are dropped and counted', async (_, count, bytes, headers) => {
      const client = fabric.client()
      const events: string[] = []
      client.on('disconnected', () => events.push('disconnected'))
      await client.waitUntilReady()
      const desk = over(client).createSocket({ type: 'subject', recvBufferSize: 4 * KIB })
      desk.bind('desk')
      await once(desk, 'listening')
      desk.setRecvBufferSize(256 * KIB)
      const others = await client.subscribe('desk.>')
      let received = 0
      desk.on('message', message => {
        if (message.length === bytes) received += 1
      })
      // This thread does nothing else meanwhile.
      const program = join(__dirname, 'programs', 'flood.cjs')
      const args = [
        program,
        JSON.stringify(fabric.remote),
        'desk',
        String(count),
        String(bytes),
        String(headers),
      ]
      const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' })
      expect(status).toBe(0)
      await until(() => received + desk.stats.recvDropped >= count)
      expect(received + desk.stats.recvDropped).toBe(count)
      expect(desk.stats).toMatchObject({ received, malformed: 0 })
      expect(received).toBeGreaterThan(0)
      expect(received).toBeLessThan(headers === 0 ? count : count / 10)
      // What has no such bound waits as before.
      expect((await others.next()).value!.subject).toBe('desk.end')
      others.close()
      expect(events).toEqual([])
      await new Promise<void>(resolve => desk.close(resolve))
    })
  })
}
