// Says how far it is: one line that redraws itself on a terminal, a line for each fifth of the way elsewhere.
const width = 32
const redrawEvery = 50 // ms

export class Progress {
  #out = process.stderr
  #drawn = 0
  #phase
  #fifth

  show(phase, fraction) {
    const part = Math.min(1, fraction)
    if (this.#out.isTTY) {
      const now = performance.now()
      if (part < 1 && phase === this.#phase && now - this.#drawn < redrawEvery) return
      this.#drawn = now
      const full = Math.round(part * width)
      this.#out.write(
        `\r\x1b[2K${phase.padEnd(16)} ${'█'.repeat(full)}${'░'.repeat(width - full)} ${percent(part)}`,
      )
    } else {
      const fifth = Math.floor(part * 5)
      if (phase === this.#phase && fifth === this.#fifth) return
      this.#fifth = fifth
      this.#out.write(`${phase.padEnd(16)} ${percent(part)}\n`)
    }
    this.#phase = phase
  }

  /** A line of its own above the bar. */
  note(text) {
    this.#out.write(this.#out.isTTY ? `\r\x1b[2K${text}\n` : `${text}\n`)
  }

  clear() {
    if (this.#out.isTTY) this.#out.write('\r\x1b[2K')
  }
}

const percent = part => `${Math.floor(part * 100)} %`.padStart(5)
