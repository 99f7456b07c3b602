// A client knows what carries its connection, over every way to plug in.
import { describeTransports, type Kind } from '../support/fabrics'

const WIRES: Readonly<Record<Kind, string>> = {
  'in-process': 'inprocess',
  'conat wire': 'conat',
  'selvedge wire': 'selvedge',
  'conat wire over TLS': 'conat',
  'selvedge wire over TLS': 'selvedge',
  'selvedge wire over WebSocket': 'websocket',
  'conat wire over a unix socket': 'conat',
  'selvedge wire over a unix socket': 'selvedge',
  'conat wire through an HTTP server': 'conat',
  'selvedge wire through an HTTP server': 'selvedge',
  nats: 'nats',
  gateways: 'selvedge',
}

describeTransports('wire', fabric => {
  test('is told while there is a connection', async () => {
    const client = fabric.client()
    await client.waitUntilReady()
    expect(client.wire).toBe(WIRES[fabric.kind])
    client.disconnect()
    expect(client.wire).toBeUndefined()
  })
})
