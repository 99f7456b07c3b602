// A socket joined with two streams: stdin and stdout, or those of a program.
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ConatSocketClient, FabricError, ServerSocket } from '../index'
import { CommandError, EXIT } from './failure'
import { type Form, lines, parsePayload, shown } from './payload'

export type AnySocket = ConatSocketClient | ServerSocket

type Input = Readable & { readonly isTTY?: boolean }

export interface Joint {
  input: Input
  output: Writable
  /** A message for each line; else messages are parts of a stream of bytes. */
  lines: boolean
  form?: Form
  /** A person reads the output. */
  person: boolean
}

/** Resolves when both directions have ended in order; rejects with what is missing. */
export async function join(socket: AnySocket, joint: Joint): Promise<void> {
  const closed = closing(socket)
  if (joint.lines) {
    socket.on('data', (data: unknown) => {
      const text = shown(data, {
        ...(joint.form === undefined ? {} : { form: joint.form }),
        person: joint.person,
      })
      if (joint.output.write(typeof text === 'string' ? `${text}\n` : text)) return
      socket.pause()
      joint.output.once('drain', () => socket.resume())
    })
    await Promise.race([closed, sendLines(socket, joint)])
    return closed
  }
  const stream = socket.toDuplex({ objectMode: false })
  let failure: unknown
  stream.on('error', error => {
    failure ??= error
  })
  // The peer may end while our input is still open: a terminal's always is. How it ended the socket says.
  const sending = send(joint.input, stream).catch(() => {})
  const receiving = receive(stream, joint.output).catch(() => {})
  await Promise.race([receiving, Promise.all([sending, receiving])])
  await closed.catch(error => {
    failure ??= error
  })
  if (failure instanceof CommandError) throw failure
  if (failure !== undefined) throw new CommandError(failure, { exit: EXIT.undelivered, hint: LINES })
}

const LINES = '--lines, for a peer that writes values and no bytes'

/** Input that is empty from the start, as that of a service is, ends nothing: then only the peer does. */
async function send(input: Input, stream: Writable): Promise<void> {
  if (input.isTTY !== true && !(await hasAny(input))) return
  await pipeline(input, stream)
}

async function hasAny(input: Readable): Promise<boolean> {
  if (input.readableLength === 0 && !input.readableEnded) await once(input, 'readable')
  return input.readableLength > 0
}

async function receive(stream: Readable, output: Writable): Promise<void> {
  for await (const part of stream) {
    if (!output.write(part)) await once(output, 'drain')
  }
}

async function sendLines(socket: AnySocket, joint: Joint): Promise<void> {
  // As above.
  let isEmpty = joint.input.isTTY !== true
  for await (const line of lines(joint.input as AsyncIterable<Buffer>)) {
    isEmpty = false
    if (socket.state === 'closed') return
    if (!socket.write(parsePayload(line, joint.form ?? 'text'))) await socket.waitUntilWritable()
  }
  if (!isEmpty) await socket.end()
}

/** Resolves when the socket has ended in order. */
function closing(socket: AnySocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('closed', (reason, undelivered) => {
      if (undelivered > 0 || (reason !== undefined && !isOrderly(reason))) {
        reject(lost(reason, undelivered))
      } else resolve()
    })
  })
}

function isOrderly({ code, missing }: FabricError): boolean {
  if (missing) return false
  return code === 'ERR_SOCKET_CLOSED_BY_PEER' || code === 'ERR_SOCKET_CLOSED'
}

function lost(reason: Error | undefined, undelivered: number): CommandError {
  const error = new CommandError(reason ?? Error('the socket was closed'), { exit: EXIT.undelivered })
  if (undelivered > 0) {
    error.message += `; ${undelivered === 1 ? '1 message was' : `${undelivered} messages were`} not delivered`
  }
  return error
}
