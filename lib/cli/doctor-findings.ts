// What the checks of `selvedge doctor` find, and what they find out for each other.
import type { Client } from '../index'
import type { CommonOptions } from './connection'

export interface Finding {
  level: 'ok' | 'warn' | 'FAIL'
  text: string
  todo?: string
  /** Whether a FAIL makes the checks that need a connection pointless. @default true */
  ends?: boolean
}

export interface Surroundings {
  readonly options: CommonOptions & { subject?: string }
  readonly address: string
  readonly closing: (() => Promise<unknown>)[]
  url?: URL
  client?: Client
}

export interface Check {
  name: string
  /** What must have worked before. */
  needs: 'nothing' | 'network'
  look(around: Surroundings): Promise<Finding[]>
}
