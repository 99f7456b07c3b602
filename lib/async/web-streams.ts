// A socket, and a subscription, as streams of the platform: what is read is acknowledged as it is read, what is written waits
// for room.
import { FabricError } from '../values/errors'

/** The socket below. */
interface StreamedSocket {
  readonly state: string
  once(name: 'closed', handle: (reason: FabricError | undefined) => void): unknown
  write(data: unknown): boolean
  waitUntilWritable(): Promise<void>
  end(): Promise<void>
  destroy(reason: unknown): void
}

/** A stream over the socket. */
export interface WrittenStream {
  /** Whether something has been written to it, and not its end. */
  readonly isBeingWritten: boolean
}

export interface WebStreams {
  readable: ReadableStream<unknown>
  writable: WritableStream<unknown>
}

/** `data` is a loop over the data of the socket. */
export function openWebStreams(
  socket: StreamedSocket,
  data: AsyncIterator<[unknown, unknown]>,
): { streams: WebStreams; written: WrittenStream } {
  const cancel = (reason: unknown): void => socket.destroy(reason)
  const written = { isBeingWritten: false, hasEnded: false }
  const closed = new Promise<FabricError | undefined>(resolve => {
    if (socket.state === 'closed') resolve(undefined)
    else socket.once('closed', resolve)
  })
  /** Why the end of the data is none of a stream: this side was closed, or the other one leaves. */
  const cutOff = async (): Promise<FabricError | undefined> => {
    const reason = await closed
    if (written.hasEnded || (reason?.code === 'ERR_SOCKET_CLOSED_BY_PEER' && !reason.draining))
      return undefined
    return reason ?? new FabricError('the socket was closed here', 'EPIPE')
  }
  const streams = {
    readable: readableOf(data, ([value]) => value, cancel, cutOff),
    writable: writableOf(socket, written),
  }
  return { streams, written }
}

/** Reads one value for each that is asked for, and none ahead. */
export function readableOf<T, Value>(
  items: AsyncIterator<T, unknown>,
  pick: (item: T) => Value,
  cancel: (reason: unknown) => void,
  cutOff?: () => Promise<FabricError | undefined>,
): ReadableStream<Value> {
  const source = {
    pull: async (controller: ReadableStreamDefaultController<Value>) => {
      const item = await items.next()
      if (!item.done) {
        controller.enqueue(pick(item.value))
        return
      }
      const reason = await cutOff?.()
      if (reason === undefined) controller.close()
      else controller.error(reason)
    },
    cancel,
  }
  return new ReadableStream<Value>(source, { highWaterMark: 0 })
}

function writableOf(
  socket: StreamedSocket,
  written: { isBeingWritten: boolean; hasEnded: boolean },
): WritableStream<unknown> {
  const abort = (reason: unknown): void => {
    written.isBeingWritten = false
    socket.destroy(reason ?? '')
  }
  return new WritableStream<unknown>({
    start: controller => {
      const handleClosed = (reason: FabricError | undefined): void => {
        if (!written.hasEnded) controller.error(reason ?? new FabricError('the socket is closed', 'EPIPE'))
      }
      if (socket.state === 'closed') handleClosed(undefined)
      else socket.once('closed', handleClosed)
      // The stream itself waits for the write that is under way, which may wait for room.
      const { signal } = controller as Abortable
      signal?.addEventListener('abort', () => abort(signal.reason))
    },
    write: value => {
      written.isBeingWritten = true
      return write(socket, value)
    },
    close: () => {
      written.isBeingWritten = false
      written.hasEnded = true
      return socket.end()
    },
    abort,
  })
}

/** What the types of Node.js leave out, and old platforms. */
interface Abortable {
  readonly signal?: AbortSignal
}

async function write(socket: StreamedSocket, value: unknown): Promise<void> {
  try {
    if (socket.write(value)) return
  } catch (error) {
    // Others write to the socket, too.
    if ((error as FabricError).code !== 'ENOBUFS') throw error
    await socket.waitUntilWritable()
    return write(socket, value)
  }
  await socket.waitUntilWritable()
}
