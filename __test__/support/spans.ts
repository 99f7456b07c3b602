// A program that has registered an SDK of OpenTelemetry, a broker in it, and the spans that have ended.
import { context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { type Client, type ConatServer, type ConnectOptions, init } from 'selvedge'

export const exporter = new InMemorySpanExporter()
let broker: ConatServer

/** Registers the SDK for the tests of a file, each of which begins without spans. */
export function useSdk(): void {
  beforeAll(async () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    propagation.setGlobalPropagator(new W3CTraceContextPropagator())
    trace.setGlobalTracerProvider(
      new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
    )
    broker = init({ port: null })
    await broker.waitUntilReady()
  })

  afterEach(() => exporter.reset())

  afterAll(async () => {
    await broker.close()
    trace.disable()
    context.disable()
    propagation.disable()
  })
}

/** A client of the broker. */
export const client = (options: ConnectOptions = {}): Client => broker.client(options)

/** Runs it inside a span of the program's, which is called `program`. */
export async function inSpan<T>(run: () => Promise<T>): Promise<T> {
  return await trace.getTracer('test').startActiveSpan('program', async span => {
    try {
      return await run()
    } finally {
      span.end()
    }
  })
}

/** What has ended, by name. */
export function ended(name: string): ReadableSpan[] {
  return exporter.getFinishedSpans().filter(span => span.name === name)
}
