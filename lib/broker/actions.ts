// What whoever sees the monitor of a broker may change there, where its options say so. Each is one of its events.
import type { ConatServer } from '../../index'
import { invalidType } from '../values/errors'
import * as views from './views'

/** Takes the body of a request, and who asks; returns the answer. */
export type Action = (body: Readonly<Record<string, unknown>>, address: string) => unknown

export function actionsOf(broker: ConatServer, handle: number): Readonly<Record<string, Action>> {
  const note = (action: string, address: string, ids?: readonly string[]): void => {
    const who = address === '' ? 'this machine' : address
    views.noteAction(handle, action, ids === undefined ? `by ${who}` : `by ${who}: ${ids.join(', ')}`)
  }
  return {
    disconnect: ({ ids }, address) => {
      const named = idsOf(ids)
      note('disconnect', address, named)
      return { count: broker.disconnect(named) }
    },
    revalidate: ({ ids }, address) => {
      const named = ids === undefined ? undefined : idsOf(ids)
      note('revalidate', address, named)
      return { count: broker.revalidate(named) }
    },
    drain: (_, address) => {
      note('drain', address)
      void broker.drain()
      return {}
    },
  }
}

function idsOf(value: unknown): string[] {
  if (Array.isArray(value) && value.every(item => typeof item === 'string')) return value
  throw invalidType('ids', 'an array of strings', value)
}
