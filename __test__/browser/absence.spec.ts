// A socket whose server has gone while the page had no connection: what it asks when it is back, and when it is given up. The
// machine alone, on virtual time, with a fabric that notes what it is asked.
import type { Fabric, SocketSink } from '../../lib/browser/socket/fabric'
import { SocketMachine } from '../../lib/browser/socket/machine'
import { jsonOf, type Publication } from '../../lib/browser/wire/publication'
import { Failure } from '../../lib/values/failure'

/** What `watch` tells: docs/protocols/fabric.md. */
const [ABSENT, HERE, UNKNOWN] = [0, 1, 9]
const SERVER = 'chat.server.one.id'
const OTHERS = 'chat.server.status'

class World {
  now = 1000
  readonly states: string[] = []
  readonly looked: string[] = []
  answerLook: (isThere: boolean) => void = () => {}
  readonly watched = new Map<string, (what: number, crowd: number) => void>()
  #answer: (publication: Publication) => void = () => {}
  #tag = 1
  readonly machine: SocketMachine

  constructor() {
    const fabric: Fabric = {
      now: () => this.now,
      random: () => 0,
      randomTag: () => this.#tag++,
      isUp: true,
      maxMessage: Number.POSITIVE_INFINITY,
      publish: () => {},
      probe: () => {},
      ask: (message, _options, done) => {
        if (message.subject === OTHERS) done({ subject: '', items: [{ encoding: 0, raw: ONE, json: null }] })
        else {
          this.accept = () => this.#answer(connected(message))
          this.miss = () => done(new Failure(503, 'nobody'))
        }
        return () => {}
      },
      lookUp: (subject, done) => {
        this.looked.push(subject)
        this.answerLook = done
      },
      subscribe: (_pattern, handlers) => {
        this.#answer = message => handlers.handleMessage(message)
        handlers.handleConfirmed()
        return () => {}
      },
      watch: (subject, handle) => {
        this.watched.set(subject, handle)
        return () => {}
      },
    }
    const sink: SocketSink = {
      handleState: state => void this.states.push(state),
      handleItem: () => {},
      handleCancelled: () => {},
      handleBeside: () => {},
      handleAcked: () => {},
      handleClosed: (reason: Failure | undefined) => void this.states.push(`closed ${reason?.code}`),
    }
    this.machine = new SocketMachine(fabric, sink, {
      subject: 'chat',
      id: 'id',
      maxQueueSize: 10,
      maxQueueBytes: 10_000,
      maxMessageBytes: 10_000,
      keepAlive: 45_000,
      keepAliveTimeout: 30_000,
      reconnection: true,
      resumeTimeout: undefined,
    })
  }

  accept = (): void => {}
  /** Its server was not there for as long as it was asked. */
  miss = (): void => {}

  /** Loses the connection, and has it again 100 ms later. */
  reconnect(): void {
    this.machine.handleFabricDown()
    this.watched.clear()
    this.now += 100
    this.machine.handleFabricUp()
    this.machine.handleTimeout()
  }

  runUntil(end: number): void {
    for (let turns = 0; this.machine.pollTimeout() <= end; turns++) {
      if (turns === 1000) throw Error(`it turns in circles: ${this.states.slice(-5)}`)
      this.now = Math.max(this.now, this.machine.pollTimeout())
      this.machine.handleTimeout()
    }
    this.now = end
  }
}

/** MessagePack: { id: 'one' } */
const ONE = new Uint8Array([0x81, 0xa2, 0x69, 0x64, 0xa3, 0x6f, 0x6e, 0x65])

/** The answer of a server to a `connect`. */
function connected({ items: [asked], attempt }: Publication): Publication {
  const { stream } = JSON.parse(new TextDecoder().decode(asked!.json!))
  const json = jsonOf({ stream: { v: 1, tag: 99, window: stream.window, for: stream.tag } })
  return { subject: '', command: 'connected', attempt, items: [{ ...asked!, json }] }
}

function attached(): World {
  const world = new World()
  world.machine.flush()
  world.accept()
  world.reconnect()
  expect(world.states).toEqual(['connecting', 'ready', 'disconnected', 'connecting'])
  return world
}

test('a server that has gone with its broker is given up after 2 s when there is another one', () => {
  const world = attached()
  world.watched.get(SERVER)!(ABSENT, 1)
  world.watched.get(OTHERS)!(HERE, 1)
  // Who was away for seconds does not wait for longer: others pause for less before they are back.
  world.runUntil(1100 + 2000 - 1)
  expect(world.states.slice(4)).toEqual(['disconnected'])
  world.runUntil(1100 + 2000)
  expect(world.states.slice(5)).toEqual(['closed ERR_SOCKET_LOST'])
})

test('and after 30 s when there is none', () => {
  const world = attached()
  world.watched.get(SERVER)!(ABSENT, 1)
  world.runUntil(1100 + 30_000 - 1)
  expect(world.states.slice(4)).toEqual(['disconnected'])
  world.runUntil(1100 + 30_000)
  expect(world.states.slice(5)).toEqual(['closed ERR_SOCKET_LOST'])
})

test('one that comes back later than the page has the socket again', () => {
  const world = attached()
  world.watched.get(SERVER)!(ABSENT, 1)
  world.runUntil(2500)
  world.watched.get(SERVER)!(HERE, 1)
  world.accept()
  expect(world.states.slice(4)).toEqual(['disconnected', 'connecting', 'ready'])
})

/** A page whose broker cannot tell of its server, which was away and comes back: it is seen as another one first. */
function untold(): World {
  const world = attached()
  world.watched.get(SERVER)!(UNKNOWN, 0)
  world.runUntil(11_100)
  world.miss()
  world.runUntil(12_000)
  expect(world.looked).toEqual([])
  world.watched.get(OTHERS)!(HERE, 1)
  world.runUntil(12_001)
  expect([world.looked, world.states.at(-1)]).toEqual([[SERVER], 'connecting'])
  return world
}

test('a server that nobody tells of is looked up before it is given up, and goes on if it is back', () => {
  const world = untold()
  world.answerLook(true)
  world.accept()
  expect(world.states.at(-1)).toBe('ready')
})

test('it is given up when it is not there, or nobody answers', () => {
  const missed = untold()
  missed.answerLook(false)
  expect(missed.states.at(-1)).toBe('closed ERR_SOCKET_LOST')
  const unanswered = untold()
  unanswered.runUntil(13_999)
  expect(unanswered.states.at(-1)).toBe('connecting')
  unanswered.runUntil(14_001)
  expect(unanswered.states.at(-1)).toBe('closed ERR_SOCKET_LOST')
})
