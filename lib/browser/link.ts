// A WebSocket to a broker, and the page around it: what is sent is cut and held back, and the page tells when it was asleep.
import { Failure } from '../values/failure'
import { concat, utf8 } from './wire/bytes'

/** What is used of a WebSocket: the browser's, Node's or that of `ws`. */
export interface WebSocketLike {
  binaryType: string
  readonly protocol: string
  readonly bufferedAmount: number
  send(data: Uint8Array): void
  close(code?: number): void
  onopen: ((event: never) => void) | null
  onmessage: ((event: { data: unknown }) => void) | null
  onerror: ((event: never) => void) | null
  onclose: ((event: { code: number; reason: string }) => void) | null
}

export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike

export interface LinkHandlers {
  handleOpen(): void
  handleBytes(bytes: Uint8Array): void
  handleDown(reason: Failure): void
  /** There is room again. */
  handleWritable(): void
}

export const SUBPROTOCOL = 'selvedge.1'
/** A token travels as the name of a protocol that nobody speaks: a page cannot set headers, and queries are in logs. */
const TOKEN = 'selvedge.token.'
const MAX_TOKEN_BYTES = 4096
/** Frames are cut into messages of so many bytes; where one ends means nothing. */
const MESSAGE_BYTES = 64 * 1024
/** Above this the rest waits here, and with it whatever can. */
const MAX_BUFFERED = 1024 * 1024
/** No event tells that there is room: one looks again after so many ms. */
const LOOK_AGAIN = 20

export class WebSocketLink {
  readonly #handlers: LinkHandlers
  #socket: WebSocketLike | undefined
  #queue: Uint8Array[] = []
  #isScheduled = false
  #timer: ReturnType<typeof setTimeout> | undefined
  /** A number for each attempt: a token may come after the attempt was given up. */
  #attempt = 0

  constructor(handlers: LinkHandlers) {
    this.#handlers = handlers
  }

  dial(url: string, Socket: WebSocketClass, token: (() => unknown) | undefined): void {
    const attempt = ++this.#attempt
    if (token === undefined) {
      this.#open(url, Socket, [])
      return
    }
    Promise.resolve()
      .then(token)
      .then(tokenProtocol)
      .then(
        protocol => attempt === this.#attempt && this.#open(url, Socket, protocol),
        cause => {
          if (attempt !== this.#attempt) return
          const text = `no token: ${cause instanceof Error ? cause.message : String(cause)}`
          this.#handlers.handleDown(new Failure('ERR_SIGN_IN', text, cause))
        },
      )
  }

  #open(url: string, Socket: WebSocketClass, more: string[]): void {
    let socket: WebSocketLike
    try {
      socket = new Socket(url, [SUBPROTOCOL, ...more])
    } catch (cause) {
      const text = cause instanceof Error ? cause.message : String(cause)
      // Not in the caller's own turn, who is about to note that it dials.
      queueMicrotask(() => this.#handlers.handleDown(new Failure('ERR_CONNECT', text, cause)))
      return
    }
    this.#socket = socket
    let wasOpen = false
    socket.binaryType = 'arraybuffer'
    const down = (reason: Failure): void => {
      if (this.#socket !== socket) return
      this.hangUp()
      this.#handlers.handleDown(reason)
    }
    socket.onopen = () => {
      wasOpen = true
      if (socket.protocol !== SUBPROTOCOL) down(refused(url))
      else this.#handlers.handleOpen()
    }
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) this.#handlers.handleBytes(new Uint8Array(data))
      else down(refused(url))
    }
    socket.onerror = () => {}
    socket.onclose = ({ code, reason }) => {
      const why = reason === '' ? `code ${code}` : `${reason} (code ${code})`
      down(
        wasOpen
          ? new Failure('ECONNRESET', `the connection to ${url} ended: ${why}`)
          : new Failure(
              'ERR_CONNECT',
              `cannot connect to ${url}: nobody is there, or the broker refuses ${HINT}`,
            ),
      )
    }
  }

  /** Drops the connection; what was sent before still leaves, if it can. */
  hangUp(): void {
    this.#attempt += 1
    const socket = this.#socket
    this.#socket = undefined
    clearTimeout(this.#timer)
    this.#timer = undefined
    const rest = this.#queue
    this.#queue = []
    if (socket === undefined) return
    socket.onopen = socket.onmessage = socket.onclose = null
    try {
      for (const message of inMessages(rest)) socket.send(message)
      socket.close()
    } catch {
      // It was not open yet, or is not any more.
    }
  }

  send(frame: Uint8Array): void {
    if (this.#socket === undefined) return
    this.#queue.push(frame)
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#flush()
    })
  }

  get isCongested(): boolean {
    return this.#timer !== undefined
  }

  #flush(): void {
    const socket = this.#socket
    if (socket === undefined || this.#timer !== undefined || this.#queue.length === 0) return
    const messages = inMessages(this.#queue)
    this.#queue = []
    for (const [at, message] of messages.entries()) {
      if (socket.bufferedAmount > MAX_BUFFERED) {
        this.#queue = messages.slice(at)
        this.#timer = setTimeout(this.#goOn, LOOK_AGAIN)
        return
      }
      socket.send(message)
    }
  }

  #goOn = (): void => {
    this.#timer = undefined
    this.#flush()
    if (this.#timer === undefined) this.#handlers.handleWritable()
  }
}

const HINT = 'pages of this origin (allowedOrigins)'

function refused(url: string): Failure {
  return new Failure('ERR_REFUSED', `${url} is no broker of selvedge: no ${SUBPROTOCOL}`)
}

/** Joins what is small, and cuts what is large. */
function inMessages(frames: readonly Uint8Array[]): Uint8Array[] {
  const messages: Uint8Array[] = []
  let open: Uint8Array[] = []
  let bytes = 0
  const close = (): void => {
    if (open.length > 0) messages.push(open.length === 1 ? (open[0] as Uint8Array) : concat(open))
    open = []
    bytes = 0
  }
  for (const frame of frames) {
    if (bytes + frame.length > MESSAGE_BYTES) close()
    for (let at = 0; at < frame.length; at += MESSAGE_BYTES) {
      const part = frame.subarray(at, at + MESSAGE_BYTES)
      if (bytes + part.length > MESSAGE_BYTES) close()
      open.push(part)
      bytes += part.length
    }
  }
  close()
  return messages
}

function tokenProtocol(token: unknown): string[] {
  if (typeof token !== 'string') throw Error(`it must be a string, got ${typeof token}`)
  const bytes = utf8(token)
  if (bytes.length > MAX_TOKEN_BYTES) throw Error(`it has more than ${MAX_TOKEN_BYTES} bytes`)
  const text = btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(''))
  return [TOKEN + text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')]
}
