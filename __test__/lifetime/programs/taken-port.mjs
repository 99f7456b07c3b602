// A broker on a port that is taken: [port] [listen: whether somebody hears `closed`].
import { init } from 'selvedge'

const [port, listens] = process.argv.slice(2)
const broker = init({ port: Number(port) })
if (listens === 'listen') broker.once('closed', reason => console.log(reason.code, broker.state))
