// A socket joined with two streams: stdin and stdout, or those of a program.
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { FabricError } from '../index'
import { lossOf } from './broker-loss'
import { CommandError, codeOf, EXIT, exitOf } from './failure'
import { type AnySocket, lastAnswers, peerInputEnd } from './half-close'
import type { Input } from './input'
import { hasLostOutput, outputFailure } from './output'
import { type Form, payloadFrom, shown } from './payload'
import { onStop } from './stopping'
import { escaped } from './terminal'

export interface Joint {
  input: Input
  output: Writable
  form?: Form
  /** A person reads the output. */
  person: boolean
  /** How long to wait for more from an end that does not close, once the input has ended, in ms. */
  idle: number
  say(text: string): void
  /** What `endOf` has returned: a socket may have ended before it is joined. */
  ended: Promise<CommandError | undefined>
  /** The next socket gets what this one has not taken of the input. */
  hasNext: boolean
}

/**
 * Resolves when both directions have ended in order; rejects with what is missing. The end of the input ends one direction
 * only: answers are read until the other end closes or has ended its input, too, or has been silent for `idle` ms.
 * A signal ends both in order, unless something would be cut off: then the other end is told so.
 */
export async function join(socket: AnySocket, joint: Joint): Promise<void> {
  const { input, output, idle } = joint
  let failure: unknown
  let isClosed = false
  const closed = joint.ended.then(lost => {
    isClosed = true
    failure ??= lost
  })
  let hasPeerEnded = false
  const peerEnd = peerInputEnd(socket).then(() => {
    hasPeerEnded = true
  })
  const stream = input.isLines ? undefined : socket.toDuplex({ objectMode: false })
  stream?.on('error', error => {
    // Everything else is what the socket says, too.
    if (codeOf(error) === 'ERR_INVALID_ARG_TYPE') {
      failure = new CommandError(error, { exit: EXIT.undelivered, hint: LINES })
    }
  })
  /** This end has ended it, and not the other one. */
  let isEnding = false
  const end = (): void => {
    isEnding ||= !isClosed
    if (stream !== undefined) stream.end()
    else void socket.end().catch(() => {})
  }
  const receiving = stream === undefined ? print(socket, joint) : receive(stream, joint).catch(() => {})
  const over = Promise.race([closed, peerEnd])
  const sending = send(socket, joint, () => isEnding)
  const forget = onStop(() => {
    const text = outputFailure() ?? cutOff(socket, joint, sending, hasPeerEnded)
    if (text === undefined) return end()
    const error = Object.assign(Error(text), { code: 'ERR_SOCKET_ABORTED' })
    failure ??= new CommandError(error, { exit: EXIT.undelivered })
    socket.destroy(Error(text))
  })
  // Input that has given nothing, as that of a service does, and that of a person end with the other end's.
  void peerEnd.then(async () => {
    if (input.isTerminal || !(sending.hasBegun || input.hasBegun || (await input.hasMore()))) end()
  })
  const talking = sending.ended.then(
    async () => {
      if (isEnding) return
      if (!sending.hasBegun && !input.isTerminal) await over
      else if (!input.isTerminal) {
        await lastAnswers(socket, { over, idle, isStuck: () => output.writableNeedDrain })
      }
      end()
    },
    error => {
      if (socket.state === 'closed' || isEnding) return
      failure ??= error
      socket.destroy(error)
    },
  )
  await Promise.race([talking, closed])
  await Promise.all([receiving, closed])
  forget()
  if (failure !== undefined) throw failure
  // The other end has closed. What was there for it must not be lost in silence.
  if (!isEnding && !input.isTerminal && !joint.hasNext && (await input.hasMore())) {
    throw closedByPeer('not all of stdin was delivered')
  }
}

/** An end in order that came too early. */
export function closedByPeer(what: string): CommandError {
  const reason = new FabricError(`closed by the peer; ${what}`, 'ERR_SOCKET_CLOSED_BY_PEER')
  return new CommandError(reason, { exit: EXIT.undelivered })
}

const LINES = '--lines, for a peer that writes values and no bytes'

interface Sending {
  /** Whether there was any input. */
  hasBegun: boolean
  hasEnded: boolean
  ended: Promise<void>
}

/** What an end would cut off now; of what a person types, and of what comes to their screen, nothing. */
function cutOff(
  { stats: { pending, received } }: AnySocket,
  { input, person }: Joint,
  { hasBegun, hasEnded }: Sending,
  hasPeerEnded: boolean,
): string | undefined {
  if (!input.isTerminal) {
    if (!hasEnded && (hasBegun || input.hasBegun)) return 'stopped by a signal before the end of stdin'
    if (pending > 0) return 'stopped by a signal before all was delivered'
  }
  if (person || hasPeerEnded || received === 0) return undefined
  return hasLostOutput()
    ? 'nobody reads its stdout any more'
    : 'stopped by a signal before the other side had ended'
}

function send(socket: AnySocket, { input, form }: Joint, isEnding: () => boolean): Sending {
  const sending = { hasBegun: false, hasEnded: false, ended: Promise.resolve() }
  const write = async (): Promise<void> => {
    for (;;) {
      const { value, done } = await input.next()
      if (socket.state === 'closed' || isEnding()) return
      if (done === true) {
        sending.hasEnded = true
        if (input.takeEnd()) sending.hasBegun = true
        return
      }
      sending.hasBegun = true
      input.take()
      if (socket.write(input.isLines ? payloadFrom(value, form) : value)) continue
      await socket.waitUntilWritable()
    }
  }
  sending.ended = write()
  return sending
}

/** A person gets text, which cannot drive the terminal; a pipe the bytes as they are. */
async function receive(stream: Readable, { output, person }: Joint): Promise<void> {
  const decoder = person ? new StringDecoder('utf8') : undefined
  for await (const part of stream as AsyncIterable<Buffer>) {
    const taken = decoder === undefined ? part : escaped(decoder.write(part))
    if (!output.write(taken)) await once(output, 'drain')
  }
  if (decoder !== undefined) output.write(decoder.end())
}

async function print(socket: AnySocket, { output, form, person, say }: Joint): Promise<void> {
  let hasHint = !person
  socket.on('data', (data: unknown) => {
    if (!hasHint && data instanceof Uint8Array) {
      hasHint = true
      say('the other side sends bytes: --bytes shows them as text')
    }
    const text = shown(data, { ...(form === undefined ? {} : { form }), person })
    if (output.write(typeof text === 'string' ? `${text}\n` : text)) return
    socket.pause()
    output.once('drain', () => socket.resume())
  })
}

/** Resolves when the socket has ended: with how, unless in order. To be called before anything is awaited. */
export function endOf(socket: AnySocket): Promise<CommandError | undefined> {
  return new Promise(resolve => {
    socket.once('closed', (given, undelivered) => {
      const reason = given ?? lossOf(socket)
      const isLost = undelivered > 0 || (reason !== undefined && !isOrderly(reason))
      resolve(isLost ? lost(reason, undelivered) : undefined)
    })
  })
}

function isOrderly({ code, missing }: FabricError): boolean {
  if (missing) return false
  return code === 'ERR_SOCKET_CLOSED_BY_PEER' || code === 'ERR_SOCKET_CLOSED'
}

function lost(reason: Error | undefined, undelivered: number): CommandError {
  const exit = exitOf(reason) === EXIT.permission ? EXIT.permission : EXIT.undelivered
  const error = new CommandError(reason ?? Error('the socket was closed'), { exit })
  if (undelivered > 0) {
    error.message += `; ${undelivered === 1 ? '1 message was' : `${undelivered} messages were`} not delivered`
  }
  return error
}
