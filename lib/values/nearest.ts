// "Did you mean": the known name that was probably meant.

/** More letters that differ are another name. */
const MAX_DISTANCE = 2
/** So many letters, one of which may be wrong, tell of a longer name that begins with them. */
const MIN_BEGINNING = 5

/** `; did you mean 'x'?`, or nothing. `most`: how many letters may differ. */
export function didYouMean(name: string, known: readonly string[], most: number = MAX_DISTANCE): string {
  for (let letters = 0; letters <= most; letters += 1) {
    const best = known.find(candidate => isWithin(letters, name.toLowerCase(), candidate.toLowerCase()))
    if (best !== undefined) return `; did you mean '${best}'?`
  }
  const longer =
    name.length < MIN_BEGINNING ? undefined : known.find(candidate => isBeginning(name, candidate))
  return longer === undefined ? '' : `; did you mean '${longer}'?`
}

/** Whether a longer name begins so, but for a letter. */
function isBeginning(name: string, candidate: string): boolean {
  return [0, 1, -1].some(more => {
    const length = name.length + more
    return (
      length <= candidate.length && isWithin(1, name.toLowerCase(), candidate.slice(0, length).toLowerCase())
    )
  })
}

/** Whether at most so many letters must be changed, added, left out, or swapped with the next. */
function isWithin(letters: number, a: string, b: string): boolean {
  if (a === b || letters < 0) return letters >= 0
  const [rest, other] = [a.slice(1), b.slice(1)]
  if (a[0] === b[0]) return isWithin(letters, rest, other)
  return (
    [
      [rest, other],
      [rest, b],
      [a, other],
    ].some(([one = '', two = '']) => isWithin(letters - 1, one, two)) ||
    (a[0] === b[1] && a[1] === b[0] && isWithin(letters - 1, a.slice(2), b.slice(2)))
  )
}
