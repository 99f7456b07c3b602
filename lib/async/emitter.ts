// Node's EventEmitter, typed as index.d.ts promises it: with the events of each class alone.
import { EventEmitter } from 'node:events'
import type { Emitter as Typed } from '../../index'

export type Emitter<Events> = Typed<Events>

export const Emitter = EventEmitter as unknown as new <Events>(options?: {
  captureRejections?: boolean
}) => Typed<Events>
