// Spans and trace contexts, with the OpenTelemetry API of the program, if it has registered an SDK. Without one nothing
// is loaded, and each place that could make a span asks one boolean.
import type { Attributes, Context, Link, Span, SpanKind } from '@opentelemetry/api'
import type { Headers, TracingOptions } from '../../index'
import { invalidType } from '../values/errors'
import { throwAsync } from '../values/throw-async'

type Api = typeof import('@opentelemetry/api')
export type TracingMode = 'active' | 'all' | false

/** How the spans of a client are made. */
export interface Tracing {
  readonly mode: TracingMode
  readonly destination?: TracingOptions['destination']
  readonly bodySize?: boolean | undefined
}

/** Returns what the option `tracing` means. */
export function tracingOf(option: TracingMode | TracingOptions, mode: TracingMode): Tracing {
  return typeof option === 'object' ? { ...option, mode: option.mode ?? mode } : { mode: option }
}

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
  readonly name: 'publish' | 'send' | 'process' | 'request' | 'connect'
  readonly subject: string
  /** The pattern that was subscribed to, if that is known. */
  readonly template?: string | undefined
  /** Nothing where a message alone is known. */
  readonly client?: Traced | undefined
  /** The queue group, if the program has named one. */
  readonly group?: string | undefined
  readonly socketId?: string | undefined
  /** The number of a message that is written to a socket. */
  readonly seq?: number | undefined
  /** Of a call of a service: the method. */
  readonly method?: string | undefined
  /** Returns the bytes of the payload, if it has one: only called where spans are to have them. */
  readonly size?: (() => number) | undefined
}

/** What spans tell of a client. */
export interface Traced {
  readonly id: string
  /** Where it connects to; nothing within the process. */
  readonly server: Server | undefined
}

export interface Server {
  readonly address: string
  readonly port?: number | undefined
}

/** The default ports of addresses. */
const PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'ws:': 80, 'https:': 443, 'wss:': 443 }
const NATS_PORT = 4222

/** Reads an address: of several servers the first. */
export function serverOf(text: string): Server | undefined {
  const [address = ''] = text.split(',')
  if (address.startsWith('unix:')) return { address: address.slice('unix:'.length) }
  try {
    const { hostname, port, protocol } = new URL(address.includes('://') ? address : `nats://${address}`)
    const host = hostname.replace(/^\[|\]$/g, '')
    return { address: host, port: port === '' ? (PORTS[protocol] ?? NATS_PORT) : Number(port) }
  } catch {
    return undefined
  }
}

/** Returns the part of a span's name that says where: nothing for what is too long or private. */
function placeOf({ subject, template }: Operation): string | undefined {
  if (template !== undefined) return template
  return subject.length <= MAX_NAME && !subject.startsWith('_INBOX') ? subject : undefined
}

/** Returns what a method is called, with its service. */
function callOf({ subject, template = subject, method }: Operation): string {
  return `${template}/${method}`
}

/** Attributes without a value are left out. */
function attributesOf(operation: Operation): Attributes {
  const { client, socketId, seq } = operation
  return {
    ...(operation.method === undefined ? messagingOf(operation) : rpcOf(operation)),
    'server.address': client?.server?.address,
    'server.port': client?.server?.port,
    'selvedge.socket.id': socketId,
    'selvedge.socket.seq': seq,
  }
}

function messagingOf({ name, subject, template, group, client }: Operation): Attributes {
  const isInbox = subject.startsWith('_INBOX')
  return {
    'messaging.system': SYSTEM,
    'messaging.operation.name': name,
    // The conventions have no type for a connect.
    'messaging.operation.type': name === 'connect' ? undefined : name === 'process' ? 'process' : 'send',
    'messaging.client.id': client?.id,
    'messaging.consumer.group.name': group,
    'messaging.destination.name': isInbox ? undefined : subject,
    'messaging.destination.temporary': isInbox ? true : undefined,
    'messaging.destination.template': template,
  }
}

function rpcOf(operation: Operation): Attributes {
  return { 'rpc.system.name': SYSTEM, 'rpc.method': callOf(operation) }
}

/** Returns the operation with the template that the program has for its subject. */
function withTemplate(operation: Operation, { destination }: Tracing): Operation {
  if (destination === undefined) return operation
  try {
    const template: unknown = destination(operation.subject)
    if (template === undefined) return operation
    if (typeof template === 'string' && template !== '') return { ...operation, template }
    throw invalidType('what tracing.destination returns', 'a string that is not empty', template)
  } catch (error) {
    // The message goes on its way.
    throwAsync(error)
    return operation
  }
}

function start(
  given: Operation,
  tracing: Tracing,
  kind: SpanKind,
  parent: Context,
  links: Link[] = [],
): Span {
  const operation = withTemplate(given, tracing)
  const place = placeOf(operation)
  const tracer = api!.trace.getTracerProvider().getTracer('selvedge', undefined, { schemaUrl: SCHEMA })
  const own = operation.method === undefined ? undefined : callOf(operation)
  const name = own ?? (place === undefined ? operation.name : `${operation.name} ${place}`)
  const attributes = attributesOf(operation)
  if (tracing.bodySize && own === undefined) attributes['messaging.message.body.size'] = operation.size?.()
  return tracer.startSpan(name, { kind, attributes, links }, parent)
}

/** Begins a span for what is sent, and writes its context into `headers`, unless the program has written one. */
export function beginSending(operation: Operation, tracing: Tracing, headers: Headers): Sending | undefined {
  const { mode } = tracing
  if (api === undefined || mode === false) return undefined
  const active = api.context.active()
  if (mode !== 'all' && api.trace.getSpan(active) === undefined) return undefined
  const isClient = operation.name === 'request' || operation.name === 'connect'
  const span = start(operation, tracing, isClient ? CLIENT : PRODUCER, active)
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

/**
 * Runs a handler inside a span whose parent is what the message brings; without a span if it brings nothing. A method of
 * a service resolves with the error that its caller was told. `within`: what the program is at is the parent, if there
 * is a span, and what the message brings is linked.
 */
export function handling<T>(
  operation: Operation,
  tracing: Tracing,
  isRequest: boolean,
  headers: Headers | null | undefined,
  handle: () => T,
  within = false,
): T {
  const { mode } = tracing
  if (api === undefined || mode === false) return handle()
  const active = api.context.active()
  const brought = api.propagation.extract(active, textsOf(headers))
  const own = within ? api.trace.getSpan(active) : undefined
  // Without a context of the message what is extracted is what is active.
  const origin = api.trace.getSpanContext(
    api.propagation.extract(api.trace.deleteSpan(active), textsOf(headers)),
  )
  if (api.trace.getSpanContext(brought) === undefined && mode !== 'all') return handle()
  const links = own !== undefined && origin !== undefined ? [{ context: origin }] : []
  const parent = own === undefined ? brought : active
  const span = start(operation, tracing, isRequest ? SERVER : CONSUMER, parent, links)
  const end = (error?: unknown): void =>
    endWith(span, error === undefined ? undefined : { code: codeOf(error), message: String(error) })
  try {
    const result = api.context.with(api.trace.setSpan(brought, span), handle)
    if (!isPromise(result)) {
      end()
      return result
    }
    void result.then(told => end(operation.method === undefined ? undefined : told), end)
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
