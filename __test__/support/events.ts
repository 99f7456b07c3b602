// What tests wait for: a condition, and the end of what can be closed.
import type { AddressInfo, Server } from 'node:net'

/** Resolves when the condition is so: looks every millisecond. The test's own timeout is the bound. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise(resolve => setTimeout(resolve, 1))
}

/** Resolves with what `close` is emitted with, whatever errors come before. */
export function closed(emitter: NodeJS.EventEmitter): Promise<unknown> {
  return new Promise(resolve => emitter.once('close', resolve))
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
