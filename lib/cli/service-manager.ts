// What systemd wants to hear of a service of `Type=notify`. Node.js has no datagrams over Unix sockets, so that
// systemd's own program speaks for us; without systemd nothing happens.
import { execFile } from 'node:child_process'

const TIMEOUT = 5000
/** Of a timer, in ms. */
const MAX_PERIOD = 2 ** 31 - 1

/** Tells the state: a failure is no reason to stop, and is said by systemd itself. */
export function tellServiceManager(state: 'ready' | 'stopping'): Promise<void> {
  return notify(`--pid=${process.pid}`, state === 'ready' ? '--ready' : 'STOPPING=1')
}

/**
 * Tells systemd, where it wants to know (`WatchdogSec=`), that we are alive: twice in each period, by a timer of
 * the thread that decides who may do what, and only while `isAlive` returns. Resolves once it has been told for the
 * first time, and never keeps the process alive.
 */
export async function keepWatchdogQuiet(isAlive: () => unknown): Promise<void> {
  const { WATCHDOG_USEC, WATCHDOG_PID = String(process.pid) } = process.env
  const period = Number(WATCHDOG_USEC) / 1000
  // The variables of another process, which has passed on its environment.
  if (!(period > 0) || WATCHDOG_PID !== String(process.pid)) return
  let isTelling = false
  const tell = async (): Promise<void> => {
    if (isTelling) return
    isTelling = true
    try {
      isAlive()
      await notify('WATCHDOG=1')
    } finally {
      isTelling = false
    }
  }
  setInterval(() => void tell().catch(() => {}), Math.min(period / 2, MAX_PERIOD)).unref()
  await tell()
}

function notify(...words: string[]): Promise<void> {
  if (!process.env.NOTIFY_SOCKET) return Promise.resolve()
  return new Promise(resolve => {
    execFile('systemd-notify', words, { timeout: TIMEOUT }, () => resolve())
  })
}
