// Worker threads share the fabric of the process, and may end at any moment.
import { run } from './run'

test('workers and the main thread talk over the fabric of the process, and workers end by themselves', async () => {
  const ended = await run('workers.cjs', ['share', '4'])
  expect({ code: ended.code, signal: ended.signal, stderr: ended.stderr }).toEqual({
    code: 0,
    signal: null,
    stderr: '',
  })
  expect(JSON.parse(ended.stdout)).toEqual({ inOrder: true, codes: [0, 0, 0, 0] })
})

test('50 workers terminated in mid-traffic harm nobody: their sockets close at the peer, others go on', async () => {
  const ended = await run('workers.cjs', ['terminate', '50', '5'])
  expect({ code: ended.code, signal: ended.signal, stderr: ended.stderr }).toEqual({
    code: 0,
    signal: null,
    stderr: '',
  })
  expect(JSON.parse(ended.stdout)).toEqual({ accepted: 51, left: 1, data: 'still here' })
}, 60_000)
