// Runs a command with its output shown as it comes, and kept. Knows nothing about what it runs.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const onWindows = process.platform === 'win32'

/**
 * Resolves with `{code, text}`; never rejects. `text` is all output without colours. A command that goes on for
 * `lingerTimeout` ms after it has printed `lastWords` is killed, and failed.
 */
export function run(command, args, { env, quiet = false, cwd, lastWords, lingerTimeout = 60_000 } = {}) {
  return new Promise(resolve => {
    // npm is a batch file on Windows, which only a shell can start; no argument of ours needs quoting.
    const shell = onWindows && command === 'npm'
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...colours(), ...env },
      shell,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let text = ''
    let lingering
    const keep = out => chunk => {
      text += chunk
      if (!quiet) out.write(chunk)
      if (
        lastWords === undefined ||
        lingering !== undefined ||
        !text.slice(-chunk.length - 200).includes(lastWords)
      )
        return
      lingering = setTimeout(() => {
        const said = `\n${command} ${args[0]}: still running ${lingerTimeout / 1000} s after its end; killed\n`
        text += said
        process.stderr.write(said)
        child.kill('SIGKILL')
      }, lingerTimeout)
    }
    child.stdout.setEncoding('utf8').on('data', keep(process.stdout))
    child.stderr.setEncoding('utf8').on('data', keep(process.stderr))
    child.on('error', err => resolve({ code: 127, text: `${command}: ${err.message}` }))
    child.on('close', (code, signal) => {
      clearTimeout(lingering)
      resolve({ code: code ?? (signal ? 1 : 0), text: plain(text) })
    })
  })
}

/** Whether a command can be started at all. */
export async function has(command, args = ['--version']) {
  return (await run(command, args, { quiet: true })).code === 0
}

/** A command of an installed package, run with our own node: no shell, no PATH. The last argument may be options of `run`. */
export function bin(name, ...args) {
  const options = typeof args.at(-1) === 'object' ? args.pop() : {}
  const [owner, command] = Array.isArray(name) ? name : [name, name.split('/').pop()]
  const folder = new URL(`../../node_modules/${owner}/`, import.meta.url)
  const { bin: bins } = JSON.parse(readFileSync(new URL('package.json', folder)))
  return run(process.execPath, [fileURLToPath(new URL(bins[command] ?? bins, folder)), ...args], options)
}

// Our pipes are no terminals: what a terminal would get must be asked for.
const colours = () => (process.stdout.isTTY ? { FORCE_COLOR: '1', CARGO_TERM_COLOR: 'always' } : {})

// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what colours are made of
const plain = text => text.replace(/\u001b\[[0-9;]*m/g, '')
