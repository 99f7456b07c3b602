// A worker that subscribes, and then does nothing else until `gate` opens: what comes for it piles up at its broker.
const { workerData, parentPort } = require('node:worker_threads')
const { connect } = require('selvedge')

const { address, wire, subject, gate } = workerData
const client = connect({ address, wire, noCache: true })

client.on('disconnected', reason => {
  parentPort.postMessage({ told: reason && { code: reason.code, message: reason.message } })
  client.once('inbox', () => {
    parentPort.postMessage({ back: true })
    void client.close()
  })
})

client.subscribe(subject).then(subscription => {
  subscription.emitter.on('message', () => {})
  parentPort.once('message', () => {
    parentPort.postMessage({ stopped: true })
    Atomics.wait(gate, 0, 0)
  })
  parentPort.postMessage({ ready: true })
})
