// "Did you mean": the known name that was probably meant.

/** More letters that differ are another name. */
const MAX_DISTANCE = 2

/** `; did you mean 'x'?`, or nothing. */
export function didYouMean(name: string, known: readonly string[]): string {
  const [best] = known
    .map(candidate => ({ candidate, letters: distance(name.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.letters - b.letters)
  return best !== undefined && best.letters <= MAX_DISTANCE ? `; did you mean '${best.candidate}'?` : ''
}

/** How many letters must be changed, added, left out, or swapped with the next. */
function distance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + cost)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isSwap) least = Math.min(least, before[j - 2]! + 1)
      next.push(least)
    }
    before = row
    row = next
  }
  return row[b.length]!
}
