// What is sent and what was received, as text on a command line or in a pipe.
import { isUtf8 } from 'node:buffer'
import { fstatSync } from 'node:fs'
import { jsonFault } from '../config/jsonc'
import { MessageData } from '../index'
import { CommandError, EXIT, UsageError } from './failure'
import { onStop, stopSignal } from './stopping'
import { escaped } from './terminal'
import { jsonOrText } from './values'

export const FORMS = ['auto', 'json', 'text', 'bytes', 'msgpack'] as const
export type Form = (typeof FORMS)[number]

/** At most so many digits of a payload that is bytes are shown. */
const MAX_HEX_DIGITS = 64

/** A payload of text from the command line, a file or a pipe. */
export function parsePayload(input: string | Buffer, form: Form): unknown {
  switch (form) {
    case 'auto':
      return jsonOrText(input.toString())
    case 'json':
      try {
        return JSON.parse(input.toString())
      } catch {
        throw new UsageError(`the payload is no JSON: ${jsonFault(input.toString())}`)
      }
    case 'text':
      return input.toString()
    case 'bytes':
      return Buffer.from(input as Buffer)
    case 'msgpack':
      return new MessageData({ raw: Buffer.from(input as Buffer) })
  }
}

/** A payload from stdin or of a program. What is no text is bytes, unless it is to be something else. */
export function payloadFrom(input: Buffer, form: Form | undefined, otherwise: Form = 'text'): unknown {
  if (form === 'bytes' || form === 'msgpack' || isUtf8(input)) return parsePayload(input, form ?? otherwise)
  if (form === undefined) return parsePayload(input, 'bytes')
  throw new UsageError(`the payload is not UTF-8, so no ${form === 'json' ? 'JSON' : 'text'}`, '--as bytes')
}

/** The default of `maxMessageBytes` of a client. */
const MAX_INPUT_BYTES = 256 * 1024 * 1024

/** What is sent: the argument, or all of stdin where there is none or `-`; text from there is no JSON by chance. */
export async function payloadOf(argument: string | undefined, form: Form | undefined): Promise<unknown> {
  if (argument === '-' || (argument === undefined && process.stdin.isTTY !== true)) {
    return payloadFrom(await readAll(MAX_INPUT_BYTES), form)
  }
  return argument === undefined ? null : parsePayload(argument, form ?? 'auto')
}

/** Refuses a form of messages where there is a stream of bytes. */
export function checkForm(form: Form | undefined, isLines: boolean): void {
  if (isLines || form === undefined || form === 'bytes') return
  throw new UsageError(`--as ${form} is of messages, and this is a stream of bytes`, '--lines')
}

/** Refuses a folder, which Node.js takes for an empty file. Returns whether stdin is a file. */
export function checkStdin(): { isFile: boolean } {
  const found = fstatSync(0)
  if (found.isDirectory()) throw new UsageError('stdin is a folder')
  return { isFile: found.isFile() }
}

/** What comes on stdin, until it ends or the command is to stop. */
export async function* stdin(): AsyncIterableIterator<Buffer> {
  checkStdin()
  const forget = onStop(() => void process.stdin.destroy())
  try {
    for await (const part of process.stdin as AsyncIterable<Buffer>) yield part
  } catch (error) {
    if (!stopSignal().aborted) throw unreadable(error)
  } finally {
    forget()
  }
}

function unreadable(error: unknown): CommandError {
  const found = new CommandError(error, { exit: EXIT.failed })
  found.message = `cannot read stdin: ${found.message}`
  return found
}

/** All of stdin. */
export async function readAll(limit: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of stdin()) {
    size += part.length
    if (size > limit) {
      throw new UsageError(
        `stdin has more than ${limit} bytes, which is the largest message`,
        '--lines, which sends a message for each line',
      )
    }
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** The lines of a stream; the last one need not end. A byte order mark at its beginning is none of them. */
export async function* lines(input: AsyncIterable<Buffer>): AsyncIterableIterator<Buffer> {
  /** Of a line whose end has not come. */
  let parts: Buffer[] = []
  let length = 0
  let isFirst = true
  const take = (end: Buffer): Buffer => {
    let line = parts.length === 0 ? end : Buffer.concat([...parts, end])
    parts = []
    length = 0
    if (isFirst && line.subarray(0, BOM.length).equals(BOM)) line = line.subarray(BOM.length)
    isFirst = false
    return line
  }
  for await (const part of input) {
    let from = 0
    for (let end = part.indexOf(LF); end >= 0; end = part.indexOf(LF, from)) {
      const line = take(part.subarray(from, end))
      yield line.at(-1) === CR ? line.subarray(0, -1) : line
      from = end + 1
    }
    if (from === part.length) continue
    parts.push(part.subarray(from))
    length += part.length - from
    if (length > MAX_INPUT_BYTES) throw new UsageError(`a line has more than ${MAX_INPUT_BYTES} bytes`)
  }
  const rest = take(Buffer.alloc(0))
  if (rest.length > 0) yield rest
}

const [LF, CR] = [0x0a, 0x0d]
const BOM = Buffer.from([0xef, 0xbb, 0xbf])

/** How a payload looks: text as it is, bytes as digits, everything else as JSON. */
export function shown(
  data: unknown,
  { form = 'auto', person }: { form?: Form; person: boolean },
): string | Buffer {
  if (isBytes(data)) {
    if (form === 'bytes' && !person) return Buffer.from(data)
    const digits = Buffer.from(data).toString('hex')
    return digits.length <= MAX_HEX_DIGITS
      ? `hex:${digits}`
      : `hex:${digits.slice(0, MAX_HEX_DIGITS)}… (${data.length} bytes)`
  }
  const text = typeof data === 'string' && form !== 'json' ? data : jsonText(data)
  return person ? escaped(text) : text
}

/** The payload's part of a JSON line. */
export function jsonParts(message: { readonly raw: Buffer; readonly data: unknown }): object {
  let data: unknown
  try {
    data = message.data
  } catch (error) {
    const { code } = error as { code?: unknown }
    return { data: null, base64: message.raw.toString('base64'), error: code }
  }
  if (isBytes(data)) return { data: null, base64: Buffer.from(data).toString('base64') }
  return { data: data === undefined ? null : JSON.parse(jsonText(data)) }
}

function isBytes(data: unknown): data is Uint8Array {
  return data instanceof Uint8Array
}

/** JSON has no numbers without an end, no bytes inside a value and no big integers. */
function jsonText(data: unknown): string {
  const text = JSON.stringify(data, (_, value: unknown) => {
    if (typeof value === 'bigint') return value.toString()
    if (isBytes(value)) return `hex:${Buffer.from(value).toString('hex')}`
    const bytes = value as { type?: unknown; data?: unknown } | null
    if (bytes !== null && typeof bytes === 'object' && bytes.type === 'Buffer' && Array.isArray(bytes.data)) {
      return `hex:${Buffer.from(bytes.data as number[]).toString('hex')}`
    }
    return value
  })
  return text ?? 'null'
}
