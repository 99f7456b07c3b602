// How each workload is measured: `(harness, options, dur) => result`.
import { sleep } from './clock.mjs'

export const subject = 'bench.subject'

/** One contender over one socket, or over `sockets` of them in bursts; with a `crowd` of other subscriptions on the broker. */
export async function oneway(harness, { size, sockets = 1, burst = 1, crowd = 0 }, dur) {
  if (crowd > 0) {
    const holder = harness.together ? harness.sender : harness.process()
    await holder.do('crowd', { ...harness.options, count: crowd })
  }
  // At most 1000 messages or 64 MiB in flight; over many sockets at least four bursts each.
  const window = Math.max(16, 4 * burst, Math.min(1000 / sockets, (64 << 20) / size) | 0)
  await harness.sockets({ window })
  await harness.sender.do('open', { count: sockets })
  return received(harness, harness.receiver, dur, dur => harness.sender.do('flow', { dur, size, burst }))
}

export async function broadcast(harness, { size, sockets, batch }, dur) {
  await harness.sockets({ window: 1000 })
  await harness.sender.do('open', { count: sockets, listen: true })
  await harness.receiver.do('accepted', { count: sockets })
  const send = dur => harness.receiver.do('broadcast', { dur, size, batch })
  return received(harness, harness.sender, dur, send, sockets)
}

export async function pubsub(harness, { size, batch }, dur) {
  await harness.receiver.do('subscribe', { ...harness.options, subject })
  await harness.sender.do('publisher', harness.farOptions)
  return received(harness, harness.receiver, dur, dur =>
    harness.sender.do('publish', { subject, dur, size, batch }),
  )
}

export async function rtt(harness, { size, parallel }, dur) {
  await harness.sockets({ window: 1000 })
  await harness.sender.do('open', { count: 1 })
  return answered(harness, dur, dur => harness.sender.do('trips', { dur, size, parallel }))
}

export async function request(harness, { size, parallel }, dur) {
  await harness.receiver.do('respond', { ...harness.options, subject })
  await harness.sender.do('publisher', harness.farOptions)
  return answered(harness, dur, dur => harness.sender.do('requests', { subject, dur, size, parallel }))
}

export async function connect(harness, { parallel, max }, dur) {
  await harness.sockets({ window: 1000 })
  await harness.sender.do('open', { count: 3 })
  return harness.costs(() => harness.sender.do('opens', { dur, parallel, max }))
}

/** Growth of resident memory by `count` sockets that do nothing, and what they cost while they do it. */
export async function memory(harness, { count }, dur) {
  await harness.sockets({ window: 1000 })
  await harness.sender.do('open', { count: 10 })
  await harness.receiver.do('grow')
  await harness.sender.do('grow')
  const before = await settled(harness)
  await harness.sender.do('open', { count })
  const after = await settled(harness)
  await harness.receiver.do('accepted', { count: count + 10 })
  const idle = await harness.costs(async () => {
    await sleep(dur)
    return { count: dur } // so that the cost is µs a millisecond
  })
  const bytes = Object.fromEntries(
    Object.keys(after).map(role => [role, (after[role] - before[role]) / count]),
  )
  return { memory: Object.values(bytes).reduce((a, b) => a + b, 0), bytes, ...idle }
}

async function settled(harness) {
  await sleep(400)
  await harness.receiver.do('collect')
  await harness.sender.do('collect')
  await sleep(300)
  return harness.memory()
}

/** Warms up, then measures from the first send to the last arrival. Each message sent arrives `copies` times. */
async function received(harness, reader, dur, send, copies = 1) {
  await once(warmUp(dur))
  return harness.costs(() => once(dur))

  async function once(dur) {
    await reader.do('reset')
    const { start, sent } = await send(dur)
    const count = sent * copies
    const { last } = await reader.do('all', { count })
    return { count, rate: (count / (last - start)) * 1000 }
  }
}

async function answered(harness, dur, ask) {
  await ask(warmUp(dur))
  return harness.costs(() => ask(dur))
}

const warmUp = dur => Math.min(400, dur)
