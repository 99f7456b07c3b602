// What a caller gets of the answers: all of them, the first, or each as it comes. Nothing that was said is lost.
import type { IntercomOptions } from '../../../types/packets'
import { type NodeFailure, type NodeResponse, PacketError } from '../errors'
import type { NodeAnswer } from './answers'
import type { CallEnd } from './calls'

/** Makes a call; answers are given to `handle`, which ends it by returning true. */
export type Asking = (handle: (answer: NodeAnswer) => boolean) => Promise<CallEnd>

export interface EachAnswer {
  readonly node: string
  readonly value?: unknown
  readonly error?: PacketError
  readonly ms: number
}

/** Resolves with all values in the order of the nodes' names; rejects when one has failed or is silent. */
export async function values(ask: Asking, type: string, options: IntercomOptions): Promise<unknown[]> {
  const { partial = false, failFast = false } = options
  let isCut = false
  const end = await ask(({ error }) => {
    isCut = failFast && error !== undefined
    return isCut
  })
  checkTyped(end, type)
  if (!partial) checkWhole(end, type, isCut)
  const slots = [...end.answers, ...(partial ? end.silent.map(silentAnswer) : [])]
  return slots.sort(byNode).map(({ value }) => value)
}

/** Resolves with the first value that is something; with undefined when all have nothing. */
export async function first(ask: Asking, type: string, options: IntercomOptions): Promise<unknown> {
  let found: NodeAnswer | undefined
  let isCut = false
  const end = await ask(answer => {
    isCut = answer.error !== undefined && options.failFast === true
    if (answer.error !== undefined) return isCut
    if (answer.value !== undefined) found = answer
    return found !== undefined
  })
  if (found !== undefined) return found.value
  checkTyped(end, type)
  if (options.partial !== true) checkWhole(end, type, isCut)
  return undefined
}

/** Iterates over the answers as they come, and at the end over those that are silent. */
export async function* each(ask: Asking, type: string): AsyncGenerator<EachAnswer, undefined> {
  const start = performance.now()
  const waiting: EachAnswer[] = []
  let wake: () => void = () => undefined
  let isLeft = false
  let isTypeless = true
  let ended: CallEnd | Error | undefined
  const told = ({ node, value, error }: NodeAnswer): EachAnswer => {
    const ms = performance.now() - start
    return error === undefined ? { node, value, ms } : { node, error, ms }
  }
  const handleEnd = (end: CallEnd | Error) => {
    ended = end
    wake()
  }
  ask(answer => {
    isTypeless = isTypeless && answer.isTypeless
    waiting.push(told(answer))
    wake()
    return isLeft
  }).then(handleEnd, handleEnd)
  try {
    while (waiting.length > 0 || ended === undefined) {
      const answer = waiting.shift()
      if (answer !== undefined) yield answer
      else await new Promise<void>(resolve => (wake = resolve))
    }
    if (ended instanceof Error) throw ended
    for (const node of ended.silent) yield told({ node, error: silentError(type, node), isTypeless: false })
    return undefined
  } finally {
    isLeft = true
  }
}

function checkTyped({ answers, silent }: CallEnd, type: string): void {
  if (silent.length > 0 || answers.length === 0 || answers.some(({ isTypeless }) => !isTypeless)) return
  throw new PacketError(`${type}: no node has a handler of this type`, 'ERR_INTERCOM_TYPE')
}

/** `isCut`: it was not waited for the silent ones. */
function checkWhole({ answers, silent }: CallEnd, type: string, isCut = false): void {
  const failed = answers.flatMap(({ node, error }) => (error === undefined ? [] : [{ node, error }]))
  const late = (isCut ? [] : silent).map(node => ({ node, error: silentError(type, node) }))
  if (failed.length === 0 && late.length === 0) return
  const failures: NodeFailure[] = [...failed, ...late].sort(byNode)
  const responses: NodeResponse[] = answers
    .filter(({ error, isTypeless }) => error === undefined && !isTypeless)
    .map(({ node, value }) => ({ node, value }))
  const first = failures[0] as NodeFailure
  const reason = failed.length > 0 ? first.error.message : `no answer of ${silent.join(', ')}`
  const code = failed.length > 0 ? 'ERR_INTERCOM_FAILED' : 'ERR_INTERCOM_TIMEOUT'
  throw new PacketError(failed.length > 0 ? reason : `${type}: ${reason}`, code, {
    reason,
    responses,
    failures,
  })
}

function silentAnswer(node: string): NodeAnswer {
  return { node, isTypeless: false }
}

function silentError(type: string, node: string): PacketError {
  return new PacketError(`${type} on ${node}: no answer in time`, 'ERR_INTERCOM_TIMEOUT', {
    reason: 'no answer in time',
  })
}

function byNode(a: { readonly node: string }, b: { readonly node: string }): number {
  return a.node < b.node ? -1 : a.node > b.node ? 1 : 0
}
