// Text that strangers chose, for a terminal.

/** Shows control characters, and marks of direction, which would drive it; all but the ends of lines and tabs. */
export function escaped(text: string): string {
  return text.replace(/[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu, character => {
    if (character === '\n' || character === '\t') return character
    const point = (character.codePointAt(0) as number).toString(16)
    return `\\u${point.padStart(4, '0')}`
  })
}
