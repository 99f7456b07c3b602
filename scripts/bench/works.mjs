// How each workload is measured: `(stage, options, dur) => result`.
import { sleep } from './clock.mjs'

export const subject = 'bench.subject'

/** One way over one socket, or over `sockets` of them in bursts; with a `crowd` of other subscriptions on the broker. */
export async function oneway(stage, { size, sockets = 1, burst = 1, crowd = 0 }, dur) {
  if (crowd > 0) {
    const holder = stage.together ? stage.sender : stage.process()
    await holder.do('crowd', { ...stage.options, count: crowd })
  }
  // At most 1000 messages or 64 MiB under way; over many sockets at least four bursts each.
  const window = Math.max(16, 4 * burst, Math.min(1000 / sockets, (64 << 20) / size) | 0)
  await stage.sockets({ window })
  await stage.sender.do('open', { count: sockets })
  return received(stage, stage.receiver, dur, dur => stage.sender.do('flow', { dur, size, burst }))
}

export async function broadcast(stage, { size, sockets, batch }, dur) {
  await stage.sockets({ window: 1000 })
  await stage.sender.do('open', { count: sockets, listen: true })
  await stage.receiver.do('accepted', { count: sockets })
  const send = dur => stage.receiver.do('broadcast', { dur, size, batch })
  return received(stage, stage.sender, dur, send, sockets)
}

export async function pubsub(stage, { size, batch }, dur) {
  await stage.receiver.do('subscribe', { ...stage.options, subject })
  await stage.sender.do('publisher', stage.options)
  return received(stage, stage.receiver, dur, dur =>
    stage.sender.do('publish', { subject, dur, size, batch }),
  )
}

export async function rtt(stage, { size, parallel }, dur) {
  await stage.sockets({ window: 1000 })
  await stage.sender.do('open', { count: 1 })
  return answered(stage, dur, dur => stage.sender.do('trips', { dur, size, parallel }))
}

export async function request(stage, { size, parallel }, dur) {
  await stage.receiver.do('respond', { ...stage.options, subject })
  await stage.sender.do('publisher', stage.options)
  return answered(stage, dur, dur => stage.sender.do('requests', { subject, dur, size, parallel }))
}

export async function connect(stage, { parallel, max }, dur) {
  await stage.sockets({ window: 1000 })
  await stage.sender.do('open', { count: 3 })
  return stage.costs(() => stage.sender.do('opens', { dur, parallel, max }))
}

/** Growth of resident memory by `count` sockets that do nothing, and what they cost while they do it. */
export async function memory(stage, { count }, dur) {
  await stage.sockets({ window: 1000 })
  await stage.sender.do('open', { count: 10 })
  await stage.receiver.do('grow')
  await stage.sender.do('grow')
  const before = await settled(stage)
  await stage.sender.do('open', { count })
  const after = await settled(stage)
  await stage.receiver.do('accepted', { count: count + 10 })
  const idle = await stage.costs(async () => {
    await sleep(dur)
    return { count: dur } // so that the cost is µs a millisecond
  })
  const bytes = Object.fromEntries(
    Object.keys(after).map(role => [role, (after[role] - before[role]) / count]),
  )
  return { memory: Object.values(bytes).reduce((a, b) => a + b, 0), bytes, ...idle }
}

async function settled(stage) {
  await sleep(400)
  await stage.receiver.do('collect')
  await stage.sender.do('collect')
  await sleep(300)
  return stage.memory()
}

/** Warms up, then measures from the first send to the last arrival. Each message sent arrives `copies` times. */
async function received(stage, reader, dur, send, copies = 1) {
  await once(warmUp(dur))
  return stage.costs(() => once(dur))

  async function once(dur) {
    await reader.do('reset')
    const { start, sent } = await send(dur)
    const count = sent * copies
    const { last } = await reader.do('all', { count })
    return { count, rate: (count / (last - start)) * 1000 }
  }
}

async function answered(stage, dur, ask) {
  await ask(warmUp(dur))
  return stage.costs(() => ask(dur))
}

const warmUp = dur => Math.min(400, dur)
