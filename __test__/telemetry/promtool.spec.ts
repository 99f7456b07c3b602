// What Prometheus' own program says of our metrics, rules and configuration. Without it these tests say that they were skipped.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatMetrics, init, processMetrics } from 'selvedge'

const ROOT = join(__dirname, '../..')
const isThere = spawnSync('promtool', ['--version']).status === 0

function promtool(args: string[], input = ''): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: ROOT, input, encoding: 'utf8' })
  return { status, said: stdout + stderr }
}

;(isThere ? describe : describe.skip)(isThere ? 'promtool' : 'skipped: there is no promtool', () => {
  test('has nothing to say about the metrics of a broker, a client and the process', async () => {
    await using broker = init({ port: 0 })
    const client = broker.client()
    await client.publish('a', 1)
    await client.request('nobody').catch(() => {})
    const socket = client.socket.connect('nobody')
    for (const families of [broker.metrics(), client.metrics(), processMetrics()])
      expect(promtool(['check', 'metrics'], formatMetrics(families))).toEqual({ status: 0, said: '' })
    socket.close()
    await client.close()
    // It does speak up.
    expect(promtool(['check', 'metrics'], '# TYPE a counter\na 1\n').status).not.toBe(0)
  })

  test('takes the rules', () => {
    expect(promtool(['check', 'rules', 'alerts/selvedge.yml'])).toEqual({
      status: 0,
      said: expect.stringContaining('SUCCESS: 6 rules found'),
    })
  })

  test('takes the configuration for Docker Compose', () => {
    const folder = mkdtempSync(join(tmpdir(), 'selvedge-'))
    const token = join(folder, 'token')
    writeFileSync(token, 'token')
    const config = readFileSync(join(ROOT, 'deploy/prometheus.yml'), 'utf8')
      .replace('/etc/prometheus/selvedge.yml', join(ROOT, 'alerts/selvedge.yml'))
      .replace('/run/secrets/metrics_token', token)
    writeFileSync(join(folder, 'prometheus.yml'), config)
    const { status, said } = promtool(['check', 'config', join(folder, 'prometheus.yml')])
    expect({ status, said }).toEqual({ status: 0, said: expect.stringContaining('6 rules found') })
    rmSync(folder, { recursive: true })
  })
})
