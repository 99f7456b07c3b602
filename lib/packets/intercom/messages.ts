// What nodes say to each other, checked: anybody who may publish on their subjects can say anything.

/** Of subjects, and of this page's ids. */
const MAX_NODE_LENGTH = 128
const NODE = /^[^\s.*>]+$/u

export interface CallMessage {
  readonly call: number
  readonly caller: string
  readonly type: string
  readonly data: unknown
}

export interface AnswerMessage {
  readonly call: number
  readonly node: string
  readonly status: unknown
  readonly value: unknown
}

export class Subjects {
  readonly calls: string
  readonly here: string
  readonly broadcast: string
  readonly #answers: string

  constructor(cluster: string) {
    this.calls = `${cluster}.intercom`
    this.here = `${cluster}.intercom.here`
    this.broadcast = `${cluster}.broadcast`
    this.#answers = `${cluster}.intercom.to.`
  }

  answersTo(node: string): string {
    return this.#answers + node
  }

  /** Returns the node whose answers arrive on a subject: of no other subject. */
  nodeOf(subject: unknown): string | undefined {
    if (typeof subject !== 'string' || !subject.startsWith(this.#answers)) return undefined
    const node = subject.slice(this.#answers.length)
    return isNode(node) ? node : undefined
  }
}

export function isNode(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_NODE_LENGTH && NODE.test(value)
}

export function callMessage(data: unknown, subjects: Subjects): CallMessage | undefined {
  if (!Array.isArray(data)) return undefined
  const [call, reply, type, payload] = data
  const caller = subjects.nodeOf(reply)
  if (!isNumber(call) || caller === undefined || typeof type !== 'string') return undefined
  return { call, caller, type, data: payload }
}

export function answerMessage(data: unknown): AnswerMessage | undefined {
  if (!Array.isArray(data)) return undefined
  const [call, node, status, value] = data
  return isNumber(call) && isNode(node) ? { call, node, status, value } : undefined
}

export function hereMessage(data: unknown): { node: string; epoch: unknown } | undefined {
  if (!Array.isArray(data) || !isNode(data[0])) return undefined
  return { node: data[0], epoch: data[1] }
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value)
}
