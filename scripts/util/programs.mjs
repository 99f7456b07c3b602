// Runs small Node programs one after the other; each must exit 0 by itself and print what it should.
import { spawn } from 'node:child_process'

const limit = 30_000

/** `programs`: `[{name, args, input, expected}]`, `input` being the program where there is no file. */
export async function programs(list) {
  let whole = true
  for (const { name, args, input, expected } of list) {
    const { code, text } = await node(args, input)
    const problem =
      code === null
        ? `did not exit by itself in ${limit / 1000} s`
        : code !== 0
          ? `exited with ${code}`
          : expected !== undefined && withoutPorts(text.trimEnd()) !== expected
            ? 'printed something else than it says'
            : undefined
    console.log(`${problem ? 'FAILED' : 'ok    '} ${name}${problem ? `: ${problem}` : ''}`)
    if (!problem) continue
    whole = false
    console.log(indent(text))
    if (expected !== undefined) console.log(`  expected:\n${indent(expected)}`)
  }
  return whole
}

// What the caller's shell says about servers is not meant for these.
const { CONAT_SERVER: _, ...env } = process.env

function node(args, input) {
  return new Promise(resolve => {
    const child = spawn(process.execPath, args, {
      env,
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
    let text = ''
    for (const out of [child.stdout, child.stderr])
      out.setEncoding('utf8').on('data', chunk => (text += chunk))
    const timer = setTimeout(() => child.kill('SIGKILL'), limit)
    child.stdin?.end(input)
    child.on('close', code => {
      clearTimeout(timer)
      resolve({ code, text })
    })
  })
}

/** Ports are chosen by the system. */
const withoutPorts = text => text.replace(/(127\.0\.0\.1:)\d+/g, '$1<port>')

const indent = text => text.trimEnd().replace(/^/gm, '    ')
