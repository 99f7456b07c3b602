// What a crowd of connections held is given back to the system when it has gone.
import { Arena } from './arena'
import { Stranger } from './stranger'

const CROWD = 3000
const AT_ONCE = 200

jest.setTimeout(120_000)

/** Others than glibc's allocator decide by themselves. */
function isGlibc(): boolean {
  const { header } = process.report.getReport() as unknown as { header: Record<string, unknown> }
  return header.glibcVersionRuntime !== undefined
}

const testGlibc = isGlibc() ? test : test.skip

testGlibc(`the memory of ${CROWD} connections that have gone is the system's again`, async () => {
  const arena = await Arena.open()
  try {
    const rss = async (): Promise<number> => (await arena.broker.ask<{ rss: number }>('report')).rss
    const before = await rss()
    const crowd: Stranger[] = []
    while (crowd.length < CROWD) {
      crowd.push(
        ...(await Promise.all(Array.from({ length: AT_ONCE }, () => Stranger.come('selvedge', arena.port)))),
      )
    }
    const most = await rss()
    for (const { raw } of crowd) raw.end()
    await Promise.all(crowd.map(({ raw }) => raw.gone))
    const isBack = async (): Promise<boolean> => (await rss()) - before < (most - before) / 2
    const until = Date.now() + 60_000
    while (!(await isBack()) && Date.now() < until) await new Promise(resolve => setTimeout(resolve, 100))
    expect(await isBack()).toBe(true)
  } finally {
    await arena.close()
  }
})
