// The long forms of the tests of net: `npm run bulk`. 1 GiB through streams and tunnels whose broker is killed, counted, hashed and with
// an eye on memory; 512 MiB in one write; 10 000 connects in a tick. CI runs the short forms.
import { bin } from './util/run.mjs'

const long = {
  SELVEDGE_NET_MIB: '1024',
  SELVEDGE_NET_WRITE_MIB: '512',
  SELVEDGE_NET_CONNECTS: '10000',
}
const suites = ['outages', 'tunnel', 'memory', 'backlog'].map(name => `__test__/net/${name}.spec`)
const { code } = await bin('jest', '--runInBand', '--verbose', ...suites, { env: long })
process.exitCode = code
