// What travels on the session beside bytes: arrays.

/** First of all, by the accepting end: `port` tells the sockets of one server apart. */
export interface Hello {
  readonly v: number
  readonly port: number
}

export type Frame =
  | { readonly kind: 'hello'; readonly hello: Hello }
  | { readonly kind: 'fin' }
  | { readonly kind: 'reset'; readonly code: string }

const [HELLO, FIN, RESET] = [0, 1, 2]
/** The version that is spoken here. */
export const VERSION = 1
/** What a stream needs in one direction: HELLO, FIN and RST, each once. More is kept of no peer. */
export const MAX_FRAMES = 3
export const MAX_FRAME_BYTES = 1024
const CODE = /^[A-Z_0-9]{1,64}$/

export const helloFrame = (port: number): unknown => [HELLO, { v: VERSION, port }]
export const FIN_FRAME: unknown = Object.freeze([FIN])
export const resetFrame = (code: string): unknown => [RESET, safeCode(code)]

/** Returns what the other end says, or nothing if that is no frame. */
export function frameOf(data: unknown): Frame | undefined {
  if (!Array.isArray(data)) return undefined
  const [kind, body] = data as [unknown, unknown]
  if (kind === FIN && data.length === 1) return { kind: 'fin' }
  if (kind === RESET) return { kind: 'reset', code: safeCode(body) }
  if (kind !== HELLO || typeof body !== 'object' || body === null) return undefined
  const { v, port } = body as { v?: unknown; port?: unknown }
  if (!Number.isInteger(v) || (v as number) < 1) return undefined
  const isPort = Number.isInteger(port) && (port as number) > 0 && (port as number) < 65_536
  return { kind: 'hello', hello: { v: v as number, port: isPort ? (port as number) : 0 } }
}

/** A code that the other end may choose: a name of at most 64 characters. */
function safeCode(code: unknown): string {
  return typeof code === 'string' && CODE.test(code) ? code : 'ECONNRESET'
}
