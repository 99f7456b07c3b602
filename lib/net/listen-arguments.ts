// What `listen` was called with.
import type { ListenOptions } from '../../types/net'
import { unreachableText } from '../messaging/unreachable'
import { isReachable, isValidSubject } from '../values/subjects'
import { argType, argValue, noSubject } from './errors'
import { freeSubject } from './options'

export interface ListenCall {
  readonly options: ListenOptions & { subject: string; isChosen: boolean }
  readonly listener: (() => void) | undefined
}

/** Splits and checks: `(subject?, backlog?, callback?)`, `(0, host?, backlog?, callback?)` or `(options, callback?)`. */
export function listenArguments(args: readonly unknown[]): ListenCall {
  const last = args[args.length - 1]
  const listener = typeof last === 'function' ? (last as () => void) : undefined
  const [first, second, third] = listener === undefined ? args : args.slice(0, -1)
  if (typeof first === 'boolean') throw argValue('options', first)
  let options: ListenOptions
  if (typeof first === 'object' && first !== null) options = { ...first }
  // Any free port is any free subject.
  else if (first === 0)
    options = { backlog: (typeof second === 'number' ? second : third) as number | undefined }
  else options = { subject: first as string | undefined, backlog: second as number | undefined }
  const { subject, backlog } = options
  const { port, path } = options as { port?: unknown; path?: unknown }
  // Any free place is one of ours.
  if (subject == null && ((port != null && Number(port) !== 0) || path != null)) throw noSubject(port ?? path)
  if (typeof subject === 'number') throw noSubject(subject)
  if (subject !== undefined && subject !== null && typeof subject !== 'string') {
    throw argType('subject', 'of type string', subject)
  }
  const { signal } = options
  if (signal !== undefined && !(typeof signal === 'object' && signal !== null && 'aborted' in signal)) {
    throw argType('options.signal', 'an instance of AbortSignal', signal)
  }
  const isChosen = Boolean(subject)
  const name = subject || freeSubject('net')
  if (name.endsWith('>') || !isValidSubject(`${name}.server.${'0'.repeat(36)}.*`))
    throw argValue('subject', subject)
  if (!isReachable(name)) {
    throw argValue('subject', subject, `is invalid: ${unreachableText(name)}`)
  }
  const limit = typeof backlog === 'number' && backlog > 0 ? backlog : undefined
  return { options: { ...options, subject: name, isChosen, backlog: limit }, listener }
}
