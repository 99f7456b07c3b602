// Every way for one end to finish, and every way for the other one to answer: what each of them sees.
import { once } from 'node:events'
import type nodeNet from 'node:net'
import { closed, codeOf, Log, nothing, type Program, type Socket } from './parity-program'

type Act = (socket: Socket, log: Log) => void

/** With the code that it is called back with. */
const noted =
  (log: Log, what: string) =>
  (error?: Error | null): void =>
    log.add(`${what} ${error ? codeOf(error) : 'done'}`)

/** What one end does first. */
const ACTS: Readonly<Record<string, Act>> = {
  'ends it': (socket, log) => void socket.end(() => noted(log, 'ended')()),
  'ends it with a word': (socket, log) => void socket.end('bye', () => noted(log, 'ended')()),
  'destroys it': socket => void socket.destroy(),
  'destroys it soon': socket => void socket.destroySoon(),
  'writes, and destroys it soon': (socket, log) => {
    socket.write('bye', noted(log, 'written'))
    socket.destroySoon()
  },
  'resets it': socket => void socket.resetAndDestroy(),
  'ends it, and destroys it when that is done': socket => void socket.end('bye', () => socket.destroy()),
}

/** What the other one does when it sees the end. */
const ANSWERS: Readonly<Record<string, Act>> = {
  'does nothing': nothing,
  'ends it': (socket, log) => void socket.on('end', () => socket.end(() => noted(log, 'ended')())),
  'says a last word': (socket, log) =>
    void socket.on('end', () => {
      socket.write('last', noted(log, 'written'))
      socket.end()
    }),
  'destroys it': socket => void socket.on('end', () => socket.destroy()),
  'destroys it soon': socket => void socket.on('end', () => socket.destroySoon()),
  'says in what state it is': (socket, log) => {
    for (const name of ['end', 'finish', 'close']) {
      socket.on(name, () => log.add(`${socket.readyState} ${socket.destroyed} ${socket.writableEnded}`))
    }
  },
}

function ending(act: Act, answer: Act, isClient: boolean, allowHalfOpen: boolean): Program {
  return async way => {
    const [active, other] = [new Log(), new Log()]
    const server = way.net.createServer({ allowHalfOpen })
    await way.listen(server)
    const connection = once(server, 'connection') as Promise<[Socket]>
    const options = { ...way.place(server), allowHalfOpen } as nodeNet.NetConnectOpts
    const client = way.net.connect(options)
    const [[accepted]] = await Promise.all([connection, once(client, 'connect')])
    const [one, two] = isClient ? [client, accepted] : [accepted, client]
    active.watch(one)
    other.watch(two)
    // Behind what the answer does: with both halves open by themselves somebody must end the second one.
    answer(two, other)
    if (allowHalfOpen) two.on('end', () => two.end())
    const ends = Promise.all([closed(one), closed(two)])
    act(one, active)
    await ends
    await new Promise<void>(resolve => server.close(() => resolve()))
    // Which of the halves is done with first is left open.
    return { active: inAnyOrder(active.lines), other: inAnyOrder(other.lines) }
  }
}

/** The lines, with neighbours of which the order is left open sorted. */
function inAnyOrder(lines: readonly string[]): string[] {
  const open = /^(end|finish|ended|written)/
  const sorted: string[] = []
  let run: string[] = []
  for (const line of [...lines, '']) {
    if (open.test(line)) run.push(line)
    else {
      sorted.push(...run.sort(), line)
      run = []
    }
  }
  return sorted.slice(0, -1)
}

export const endingPrograms: Readonly<Record<string, Program>> = Object.fromEntries(
  Object.entries(ACTS).flatMap(([what, act]) =>
    Object.entries(ANSWERS).flatMap(([reply, answer]) =>
      [true, false].flatMap(isClient =>
        [true, false].map(allowHalfOpen => [
          `the ${isClient ? 'client' : 'server'} ${what}, the other one ${reply}${allowHalfOpen ? ', half open' : ''}`,
          ending(act, answer, isClient, allowHalfOpen),
        ]),
      ),
    ),
  ),
)
