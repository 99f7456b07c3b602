// What is measured, and the goals beside a proxy. `figure`: a rate (more is better), or p50 or memory (less is).
const KiB = 1024
const MiB = KiB * KiB
const direct = ['net', 'proxy', 'selvedge/net']
const all = [...direct, 'forward + expose']

const stream = (label, size, goal, more = {}) => ({
  name: `stream, ${label} writes`,
  task: 'stream',
  options: { size },
  figure: 'bytes',
  unit: 'MiB',
  ways: direct,
  goal,
  ...more,
})
const http = (connections, goal) => ({
  name: `http keep-alive, ${connections} connection${connections > 1 ? 's' : ''}`,
  task: 'http',
  options: { connections },
  figure: 'rate',
  unit: 'request',
  ways: direct,
  goal,
  quick: connections > 1,
})

export const lines = [
  stream('64 KiB', 64 * KiB, 1.2, { ways: all, quick: true, goals: { 'forward + expose': 0.7 } }),
  stream('16 KiB', 16 * KiB, 1),
  stream('1 KiB', KiB, 1.5),
  stream('64 B', 64, 4, { quick: true }),
  { ...stream('64 KiB', 64 * KiB, 0.8, { quick: true }), name: 'TLS, 64 KiB writes', task: 'tls' },
  {
    name: 'echo of 32 B',
    task: 'echo',
    options: { size: 32 },
    figure: 'p50',
    unit: 'round trip',
    ways: direct,
    goal: 3,
    quick: true,
  },
  {
    name: 'connect, end, close',
    task: 'connects',
    options: {},
    figure: 'rate',
    unit: 'connection',
    ways: direct,
    goal: 1,
    quick: true,
  },
  http(1, 1),
  http(16, 1.5),
  {
    name: '200 sockets of 1 MiB',
    task: 'crowd',
    options: { count: 200, size: MiB },
    figure: 'bytes',
    unit: 'MiB',
    ways: direct,
  },
  {
    name: 'datagrams of 64 B',
    task: 'datagrams',
    options: { size: 64 },
    figure: 'rate',
    unit: 'datagram',
    ways: direct,
    goal: 10,
    quick: true,
  },
  {
    name: 'pgbench -S',
    task: 'pgbench',
    options: {},
    figure: 'rate',
    unit: 'transaction',
    ways: ['net', 'proxy', 'forward + expose'],
  },
]

/** Memory, each in processes of its own. */
export const memoryLines = [
  {
    name: '1000 idle sockets',
    task: 'idle',
    options: { count: 1000 },
    figure: 'memory',
    ways: direct,
    atMost: 24 * KiB,
  },
  {
    name: '1 GiB to a slow reader',
    task: 'slow',
    options: { size: 1024 * MiB },
    figure: 'memory',
    ways: direct,
    atMost: 64 * MiB,
  },
]
