// The names that sockets and brokers are given: each becomes a part of a subject, and is checked where it is given.
import { FabricError, invalidValue, shown } from './errors'
import { isFilled } from './option-checks'
import { Buffer } from './platform'
import { faultOf, isValidSubject, isValidSubjectWithoutWildcards } from './subjects'

/** UTF-8 bytes of an id: a subject has two of them, and what comes before. */
const MAX_ID_BYTES = 1024

/** So many characters, and those in between, are neither 8192 bytes nor 512 tokens. */
const SHORT_CHARS = 500

/** What stands in the place of a server's id where all of them, or none, is meant. */
const NO_SERVERS: readonly string[] = ['~', 'status', 'rooms']

/** Returns whether a text is one token of a subject. */
export function isToken(text: string): boolean {
  return isValidSubjectWithoutWildcards(text) && !text.includes('.')
}

/** Checks a name that becomes one token of a subject. */
export function checkName(name: string, value: string): void {
  isFilled(name, value)
  const bytes = Buffer.byteLength(value)
  if (bytes > MAX_ID_BYTES) {
    const text = `${name} has ${bytes} bytes, and at most ${MAX_ID_BYTES} are possible`
    throw new FabricError(text, 'ERR_INVALID_ARG_VALUE')
  }
  if (!isToken(value)) throw invalidValue(name, `one token of a subject: ${ONE_TOKEN}`, value)
}

const ONE_TOKEN = 'without dots, spaces and wildcards'

/** The check of an option that is such a name. */
export function isName(name: string, value: unknown): void {
  checkName(name, value as string)
}

/** Checks the id of a server: some are no server's. */
export function checkServerId(id: string): void {
  checkName('id', id)
  if (!NO_SERVERS.includes(id)) return
  throw new FabricError(`invalid id '${id}': no server is called so`, 'ERR_INVALID_ARG_VALUE')
}

/** Checks the pattern of a socket server, to which more tokens are appended. */
export function checkListenSubject(subject: string): void {
  if (typeof subject === 'string' && subject.endsWith('>')) throw invalid(subject, 'it must not end with >')
  if (!isValidSubject(subject)) throw invalid(subject, faultOf(subject))
}

/** Checks the subject that a socket connects to, to which more tokens are appended. */
export function checkConnectSubject(subject: string): void {
  if (!isValidSubjectWithoutWildcards(subject)) throw invalid(subject, faultOf(subject))
}

/** Checks that there is room behind it for the ids of both ends. */
export function checkRoomForIds(subject: string, id: string): void {
  // Most are far too short for any bound, and both parts have been checked.
  if (subject.length + 2 * id.length < SHORT_CHARS) return
  if (isValidSubject(`${subject}.server.${id}.${id}`)) return
  throw invalid(
    subject,
    'it is too long: a subject has at most 8192 bytes, those of ids included, and 512 tokens',
  )
}

function invalid(subject: string, why: string): FabricError {
  return new FabricError(`invalid subject '${shown(subject)}': ${why}`, 'ERR_INVALID_SUBJECT')
}
