// What systemd wants to hear of a service of `Type=notify`. Node.js has no datagrams over Unix sockets, so that
// systemd's own program speaks for us; without systemd nothing happens.
import { execFile } from 'node:child_process'

const TIMEOUT = 5000

/** Tells the state: a failure is no reason to stop, and is said by systemd itself. */
export function tellServiceManager(state: 'ready' | 'stopping'): Promise<void> {
  if (!process.env.NOTIFY_SOCKET) return Promise.resolve()
  const words = state === 'ready' ? ['--ready'] : ['STOPPING=1']
  return new Promise(resolve => {
    execFile('systemd-notify', [`--pid=${process.pid}`, ...words], { timeout: TIMEOUT }, () => resolve())
  })
}
