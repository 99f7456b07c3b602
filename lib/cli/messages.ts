// Messages of the fabric on stdout.
import type { Message } from '../index'
import { type Form, jsonParts, shown } from './payload'
import { escaped, type Terminal } from './terminal'

export interface Look {
  json?: boolean
  as?: Form
  raw?: boolean
  headers?: boolean
  /** `--no-subject`. */
  subject?: boolean
}

export async function printMessage(terminal: Terminal, message: Message, look: Look): Promise<void> {
  const { headers } = message
  const hasHeaders = headers != null && Object.keys(headers).length > 0
  if (look.json === true) {
    return terminal.json({
      subject: message.subject,
      ...jsonParts(message),
      ...(hasHeaders ? { headers } : {}),
      bytes: message.length,
      time: new Date().toISOString(),
    })
  }
  const person = terminal.isPerson
  const payload = shown(readable(message), { ...(look.as === undefined ? {} : { form: look.as }), person })
  if (typeof payload !== 'string') return terminal.bytes(payload)
  if (look.raw === true) return terminal.line(payload)
  if (look.headers === true && hasHeaders) {
    for (const [name, value] of Object.entries(headers)) {
      const line = `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`
      await terminal.line(person ? escaped(line) : line)
    }
  }
  const subject = person ? escaped(message.subject) : message.subject
  await terminal.line(look.subject === false ? payload : `[${subject}] ${payload}`)
}

/** What cannot be decoded is shown as its bytes. */
function readable(message: Message): unknown {
  try {
    return message.data
  } catch {
    return message.raw
  }
}
