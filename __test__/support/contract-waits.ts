// What waits, by the contracts: what returns a promise, and what takes a bound of a wait.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(__dirname, '../..')

/** A class, an interface, or a function. */
const DECLARATION =
  /^export declare (?:abstract )?class (\w+)|^declare abstract class (\w+)|^export interface (\w+)|^export declare function (\w+)/gm
/** A member: what stands deeper than its name belongs to it. */
const MEMBER =
  /^( {2}|(?: {4}))(?:static |readonly )*([\w.]+|\[Symbol\.\w+\])(?:<[^(]*>)?\(((?:(?!\n {2}[^ )])[\s\S])*?)\): ([^\n]*)/gm
const FUNCTION = /^[^(]*\(([\s\S]*?)\): ([^\n]*)/
const PROMISES = /^(Promise|Answers)</
const BOUNDS =
  /\b(timeout|signal|deadline|(?:Wait|Request|RequestMany|Publish|Send|Subscription|Drain|End|SocketConnect|SocketListen|Intercom|CreateIntercom)Options|ServiceCall|ServiceTarget)\b/

/** Returns the names of all of them: `Client.publish`, or that of a function alone. */
export function contractWaits(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
  const starts = [...text.matchAll(DECLARATION)]
  const names = starts.flatMap((start, at) => {
    const body = text.slice(start.index, starts[at + 1]?.index)
    const [name] = start.slice(1).filter(one => one !== undefined)
    if (start[4] !== undefined) {
      const [, taken = '', returned = ''] = FUNCTION.exec(body) ?? []
      return waits(taken, returned) ? [name!] : []
    }
    const found = [...body.matchAll(MEMBER)].filter(([, , , taken, returned]) => waits(taken!, returned!))
    return found.map(({ index, 1: indent, 2: member }) =>
      indent!.length > 2 ? `${name}.${around(body.slice(0, index))}.${member}` : `${name}.${member}`,
    )
  })
  return [...new Set(names)]
}

function waits(taken: string, returned: string): boolean {
  return PROMISES.test(returned) || BOUNDS.test(taken)
}

/** Returns the name of the property whose object begins last in this text. */
function around(text: string): string {
  return [...text.matchAll(/^ {2}(?:readonly )?(\w+)[^\n]*\{$/gm)].at(-1)?.[1] ?? ''
}
