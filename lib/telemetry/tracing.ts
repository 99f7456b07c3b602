// Spans and trace contexts, with the OpenTelemetry API of the program, if it has registered an SDK. Without one nothing
// is loaded, and each place that could make a span asks one boolean.
import type { Attributes, Context, Span, SpanKind } from '@opentelemetry/api'
import type { Headers } from '../../index'

type Api = typeof import('@opentelemetry/api')
export type TracingMode = 'active' | 'all' | false

/** What OpenTelemetry's API registers itself under. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')
const [SERVER, CLIENT, PRODUCER, CONSUMER] = [1, 2, 3, 4] as const satisfies readonly SpanKind[]
/** A subject that is longer than that names no span: there must be few names. */
const MAX_NAME = 64
const SCHEMA = 'https://opentelemetry.io/schemas/1.45.0'
const SYSTEM = 'selvedge'

let api: Api | undefined
/** Whether anything is to be traced by anybody. */
let isOn = false

/** Called for each client: looks for an SDK. */
export function lookForTracing(mode: TracingMode): void {
  if (mode === false || isOn || !(REGISTERED in globalThis)) return
  try {
    api = require('@opentelemetry/api') as Api
    isOn = true
  } catch {
    // The program has an SDK with an API of its own, which cannot be found from here.
  }
}

export function tracingIsOn(): boolean {
  return isOn
}

export interface Operation {
  readonly name: 'publish' | 'send' | 'process' | 'request'
  readonly subject: string
  /** The pattern that was subscribed to, if that is known. */
  readonly template?: string | undefined
  /** Nothing where a message alone is known. */
  readonly clientId?: string | undefined
}

/** Returns the part of a span's name that says where: nothing for what is too long or private. */
function placeOf({ subject, template }: Operation): string | undefined {
  if (template !== undefined) return template
  return subject.length <= MAX_NAME && !subject.startsWith('_INBOX') ? subject : undefined
}

function attributesOf(operation: Operation): Attributes {
  const { name, subject, template, clientId } = operation
  const attributes: Attributes = {
    'messaging.system': SYSTEM,
    'messaging.operation.name': name,
    'messaging.operation.type': name === 'process' ? 'process' : 'send',
  }
  if (clientId !== undefined) attributes['messaging.client.id'] = clientId
  if (subject.startsWith('_INBOX')) attributes['messaging.destination.temporary'] = true
  else attributes['messaging.destination.name'] = subject
  if (template !== undefined) attributes['messaging.destination.template'] = template
  return attributes
}

function start(operation: Operation, kind: SpanKind, parent: Context): Span {
  const place = placeOf(operation)
  const tracer = api!.trace.getTracerProvider().getTracer('selvedge', undefined, { schemaUrl: SCHEMA })
  const name = place === undefined ? operation.name : `${operation.name} ${place}`
  return tracer.startSpan(name, { kind, attributes: attributesOf(operation) }, parent)
}

/** Begins a span for what is sent, and writes its context into `headers`, unless the program has written one. */
export function beginSending(operation: Operation, mode: TracingMode, headers: Headers): Sending | undefined {
  if (api === undefined || mode === false) return undefined
  const active = api.context.active()
  if (mode !== 'all' && api.trace.getSpan(active) === undefined) return undefined
  const span = start(operation, operation.name === 'request' ? CLIENT : PRODUCER, active)
  const carrier: Record<string, string> = {}
  api.propagation.inject(api.trace.setSpan(active, span), carrier)
  for (const [name, value] of Object.entries(carrier)) headers[name] ??= value
  return new Sending(span)
}

/** A span of something that was sent. */
export class Sending {
  readonly #span: Span

  constructor(span: Span) {
    this.#span = span
  }

  end(failure?: { code: string | number; message: string }): void {
    endWith(this.#span, failure)
  }
}

function endWith(span: Span, failure?: { code: string | number; message: string }): void {
  if (failure !== undefined) {
    span.setAttribute('error.type', String(failure.code))
    span.setStatus({ code: 2, message: failure.message })
  }
  span.end()
}

/** Runs a handler inside a span whose parent is what the message brings; without a span if it brings nothing. */
export function handling<T>(
  operation: Operation,
  mode: TracingMode,
  isRequest: boolean,
  headers: Headers | null | undefined,
  handle: () => T,
): T {
  if (api === undefined || mode === false) return handle()
  const active = api.context.active()
  const brought = api.propagation.extract(active, textsOf(headers))
  const hasParent = api.trace.getSpanContext(brought) !== undefined
  if (!hasParent && mode !== 'all') return handle()
  const span = start(operation, isRequest ? SERVER : CONSUMER, brought)
  const end = (error?: unknown): void =>
    endWith(span, error === undefined ? undefined : { code: codeOf(error), message: String(error) })
  try {
    const result = api.context.with(api.trace.setSpan(brought, span), handle)
    if (!isPromise(result)) {
      end()
      return result
    }
    void result.then(() => end(), end)
    return result
  } catch (error) {
    end(error)
    throw error
  }
}

/** Only texts: whatever else stands there is no context. */
function textsOf(headers: Headers | null | undefined): Record<string, string> {
  const entries = Object.entries(headers ?? {}).filter(([, value]) => typeof value === 'string')
  return Object.fromEntries(entries) as Record<string, string>
}

function codeOf(error: unknown): string | number {
  const { code, name } = (error ?? {}) as { code?: string | number; name?: string }
  return code ?? name ?? 'Error'
}

function isPromise(value: unknown): value is Promise<unknown> {
  return value instanceof Promise
}
