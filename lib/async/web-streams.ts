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

export interface WebStreams {
  readable: ReadableStream<unknown>
  writable: WritableStream<unknown>
}

/** `data` is a loop over the data of the socket. */
export function openWebStreams(socket: StreamedSocket, data: AsyncIterator<[unknown, unknown]>): WebStreams {
  const cancel = (reason: unknown): void => socket.destroy(reason)
  return { readable: readableOf(data, ([value]) => value, cancel), writable: writableOf(socket) }
}

/** Reads one value for each that is asked for, and none ahead. */
export function readableOf<T, Value>(
  items: AsyncIterator<T, unknown>,
  pick: (item: T) => Value,
  cancel: (reason: unknown) => void,
): ReadableStream<Value> {
  const source = {
    pull: async (controller: ReadableStreamDefaultController<Value>) => {
      const item = await items.next()
      if (item.done) controller.close()
      else controller.enqueue(pick(item.value))
    },
    cancel,
  }
  return new ReadableStream<Value>(source, { highWaterMark: 0 })
}

function writableOf(socket: StreamedSocket): WritableStream<unknown> {
  let isEnding = false
  return new WritableStream<unknown>({
    start: controller => {
      const handleClosed = (reason: FabricError | undefined): void => {
        if (!isEnding) controller.error(reason ?? new FabricError('the socket is closed', 'EPIPE'))
      }
      if (socket.state === 'closed') handleClosed(undefined)
      else socket.once('closed', handleClosed)
      // The stream itself waits for the write that is under way, which may wait for room.
      const { signal } = controller as Abortable
      signal?.addEventListener('abort', () => socket.destroy(signal.reason ?? ''))
    },
    write: value => write(socket, value),
    close: () => {
      isEnding = true
      return socket.end()
    },
    abort: reason => socket.destroy(reason ?? ''),
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
