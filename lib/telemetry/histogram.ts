// Counts values by their size.
import type { MetricFamily } from '../../index'

export class Histogram {
  readonly #bounds: readonly number[]
  /** Of each bucket alone; the last one has no bound. */
  readonly #counts: number[]
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  observe(value: number): void {
    const at = this.#bounds.findIndex(bound => value <= bound)
    this.#counts[at < 0 ? this.#bounds.length : at]! += 1
    this.#sum += value
  }

  /** Buckets as Prometheus counts them, each with what the ones before it have, then the sum and the count. */
  samples(): MetricFamily['samples'] {
    let count = 0
    const buckets = this.#counts.map((own, at) => {
      count += own
      const bound = this.#bounds[at]
      return { suffix: '_bucket', labels: { le: bound === undefined ? '+Inf' : String(bound) }, value: count }
    })
    return [
      ...buckets,
      { suffix: '_sum', labels: {}, value: this.#sum },
      { suffix: '_count', labels: {}, value: count },
    ]
  }
}
