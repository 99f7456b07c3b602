// Drafts: what a kind of message has, prepared once and sent any number of times.
import { Buffer } from 'node:buffer'
import type { Producer } from '../../types/sockety'
import { invalidType } from '../values/errors'
import { isUint8Array } from '../values/platform'
import { missing, rawDraft, tooBig, unexpected, unknownPart } from './errors'
import { FileTransfer } from './file-transfer'
import { FixedData } from './fixed-data'
import { encode } from './msgpack'
import { type Plan, planIn, producerOf, RAW } from './producer'
import type { UUID } from './uuid'

const MAX_ACTION_BYTES = 0xffff

export interface DraftInput {
  data?: unknown
  /** A list of `FileTransfer`s or plain objects. */
  files?: unknown
}

/** Where the data of a message comes from: nowhere, from the draft, or from what it is called with. */
type DataRule = FixedData | ((input: DraftInput) => Uint8Array) | undefined
type FilesRule = readonly FileTransfer[] | ((input: DraftInput) => readonly FileTransfer[]) | undefined

/** What a message has, whatever it answers. */
type Content = Omit<Plan, 'action' | 'parent'>

/** A function with the methods of its class. */
class Callable {
  constructor(call: (...args: never[]) => unknown) {
    // biome-ignore lint/correctness/noConstructorReturn: what makes it callable
    return Object.setPrototypeOf(call, new.target.prototype)
  }
}
Object.setPrototypeOf(Callable.prototype, Function.prototype)

/** What both kinds of drafts can say. */
abstract class BaseDraft<Factory extends (input?: DraftInput) => unknown> extends Callable {
  #data: DataRule
  #files: FilesRule
  #hasStream = false
  #factory: Factory | undefined

  constructor() {
    super((input?: DraftInput) => this.optimize()(input))
  }

  /** `isFixed`: the plan is the same for every input that it takes. */
  protected abstract compile(plan: (input: DraftInput) => Content, isFixed: boolean): Factory

  data(...content: [] | [Uint8Array | string]): this {
    const [value] = content
    this.#data = value === undefined ? ({ data }) => dataOf(data) : fixed(value)
    return this.#changed()
  }

  msgpack(...content: [] | [unknown]): this {
    this.#data = content.length === 0 || content[0] === undefined ? packed : new FixedData(encode(content[0]))
    return this.#changed()
  }

  files(list?: unknown): this {
    this.#files =
      list === undefined
        ? ({ files }) => {
            if (files === undefined) throw missing('files')
            return FileTransfer.list(files)
          }
        : FileTransfer.list(list)
    return this.#changed()
  }

  stream(): this {
    this.#hasStream = true
    return this.#changed()
  }

  /** Returns the compiled factory, the same one until the draft is changed. */
  optimize(): Factory {
    this.#factory ??= this.#compiled()
    return this.#factory
  }

  createFactory(): Factory {
    return this.optimize()
  }

  #changed(): this {
    this.#factory = undefined
    return this
  }

  #compiled(): Factory {
    const data = this.#data
    const files = this.#files
    const hasStream = this.#hasStream
    return this.compile(
      input => {
        if (typeof input !== 'object' || input === null) throw invalidType('input', '{ data, files }', input)
        // It would be lost without a word.
        if (typeof data !== 'function' && input.data !== undefined)
          throw unexpected('data', data !== undefined)
        if (typeof files !== 'function' && input.files !== undefined)
          throw unexpected('files', files !== undefined)
        return {
          data: typeof data === 'function' ? data(input) : data,
          files: typeof files === 'function' ? files(input) : files,
          hasStream,
        }
      },
      typeof data !== 'function' && typeof files !== 'function',
    )
  }
}

export class Draft extends BaseDraft<(input?: DraftInput) => Producer> {
  readonly #action: Uint8Array

  constructor(action: string) {
    super()
    if (typeof action !== 'string') throw invalidType('action', 'a string', action)
    this.#action = Buffer.from(action)
    if (this.#action.length > MAX_ACTION_BYTES) throw tooBig('action name')
  }

  static for(action: string): Draft {
    return new Draft(action)
  }

  get [RAW](): string {
    return 'Draft'
  }

  protected compile(plan: (input: DraftInput) => Content): (input?: DraftInput) => Producer {
    const action = this.#action
    return (input = {}) => {
      const { data, files, hasStream } = plan(input)
      return producerOf({ action, parent: undefined, data, files, hasStream })
    }
  }
}

/** What `respond` takes. */
export type ResponseProducer = (parent: UUID) => Producer

export class ResponseDraft extends BaseDraft<(input?: DraftInput) => ResponseProducer> {
  get [RAW](): string {
    return 'ResponseDraft'
  }

  protected compile(
    plan: (input: DraftInput) => Content,
    isFixed: boolean,
  ): (input?: DraftInput) => ResponseProducer {
    if (!isFixed) return (input = {}) => responseOf(plan(input))
    const always = responseOf(plan({}))
    return input => {
      if (input !== undefined) plan(input)
      return always
    }
  }
}

/** Where a response has the plan of what it is to a message. */
const PLAN_FOR = Symbol('plan for')

function responseOf({ data, files, hasStream }: Content): ResponseProducer {
  const planFor = (parent: UUID): Plan => ({ action: undefined, parent, data, files, hasStream })
  return Object.assign((parent: UUID) => producerOf(planFor(parent)), { [PLAN_FOR]: planFor })
}

/** Returns the plan of a response to this message. */
export function planOf(
  response: ResponseProducer & { [PLAN_FOR]?: (parent: UUID) => Plan },
  parent: UUID,
): Plan {
  const planFor = response[PLAN_FOR]
  if (planFor !== undefined) return planFor(parent)
  const { [RAW]: raw } = response as { [RAW]?: string }
  if (raw !== undefined) throw rawDraft(raw)
  return planIn(response(parent))
}

/** Returns the plan of a response that no draft was made for. */
export function plainResponse(parent: UUID, input: DraftInput, hasStream: boolean): Plan {
  const { data, files } = input
  for (const name of Object.keys(input)) if (name !== 'data' && name !== 'files') throw unknownPart(name)
  return {
    action: undefined,
    parent,
    data: data === undefined ? undefined : dataOf(data),
    files: files === undefined ? undefined : FileTransfer.list(files),
    hasStream,
  }
}

/** The draft's data is what it is now, whatever becomes of the Buffer. */
function fixed(data: unknown): FixedData {
  const bytes = dataOf(data)
  return new FixedData(bytes === data ? Buffer.from(bytes) : bytes)
}

function dataOf(data: unknown): Uint8Array {
  if (data === undefined) throw missing('data')
  if (typeof data === 'string') return Buffer.from(data)
  if (isUint8Array(data)) return data
  throw invalidType('data', 'a Buffer or a string', data)
}

function packed({ data }: DraftInput): Uint8Array {
  if (data === undefined) throw missing('data')
  return encode(data)
}
