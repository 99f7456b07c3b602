// Worker threads share the fabric of the process, and may end at any moment.
import { run } from './run'

const PLACES = ["the process's fabric", 'a port']
const over = (place: string): string[] => (place === 'a port' ? ['port'] : [])

test.each(PLACES)('workers and the main thread talk over %s, and workers end by themselves', async place => {
  const ended = await run('workers.cjs', ['share', '4', '4', ...over(place)])
  expect({ code: ended.code, signal: ended.signal, stderr: ended.stderr }).toEqual({
    code: 0,
    signal: null,
    stderr: '',
  })
  expect(JSON.parse(ended.stdout)).toEqual({ inOrder: true, codes: [0, 0, 0, 0] })
})

test.each(PLACES)(
  '50 workers terminated in mid-traffic over %s harm nobody: others go on',
  async place => {
    const ended = await run('workers.cjs', ['terminate', '50', '5', ...over(place)])
    expect({ code: ended.code, signal: ended.signal, stderr: ended.stderr }).toEqual({
      code: 0,
      signal: null,
      stderr: '',
    })
    expect(JSON.parse(ended.stdout)).toEqual({ accepted: 51, left: 1, data: 'still here' })
  },
  60_000,
)
