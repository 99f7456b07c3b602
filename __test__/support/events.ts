// What tests wait for: a condition, the end of what can be closed, an error.
import type { AddressInfo, Server } from 'node:net'

/** Resolves when the condition is so: looks every millisecond. The test's own timeout is the bound. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise(resolve => setTimeout(resolve, 1))
}

/** The same for what may be over within a millisecond: looks each turn of the event loop. */
export async function untilTurn(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate)
}

/** Resolves with what `close` is emitted with, whatever errors come before. */
export function closed(emitter: NodeJS.EventEmitter): Promise<unknown> {
  return new Promise(resolve => emitter.once('close', resolve))
}

/** Resolves with the next error. */
export function failure(
  emitter: NodeJS.EventEmitter,
): Promise<NodeJS.ErrnoException & { undelivered?: number }> {
  return new Promise(resolve => emitter.once('error', resolve))
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
