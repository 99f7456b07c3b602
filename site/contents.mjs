// What is on the site, and where.

/** Contracts, and the folder of each in the reference. */
export const CONTRACTS = {
  'index.d.ts': 'index',
  'types/browser.d.ts': 'types/browser',
  'types/dgram.d.ts': 'types/dgram',
  'types/net.d.ts': 'types/net',
  'types/packets.d.ts': 'types/packets',
  'types/sockety.d.ts': 'types/sockety',
  'types/testing.d.ts': 'types/testing',
  'types/tls.d.ts': 'types/tls',
  'types/users.d.ts': 'types/users',
}

/** Pages that are not in docs/. */
export const EXTRA_PAGES = {
  'README.md': 'index.md',
  'CHANGELOG.md': 'changelog.md',
  'CONTRIBUTING.md': 'contributing.md',
  'SECURITY.md': 'security.md',
}

/** Files that pages lead to, and that are shown as they are. */
export const DEPLOYED = [
  'deploy/Dockerfile',
  'deploy/broker.jsonc',
  'deploy/compose.yaml',
  'deploy/prometheus.yml',
  'deploy/selvedge.service',
  'deploy/users.jsonc',
  'examples/deployment/compose.yaml',
  'examples/deployment/kubernetes.yaml',
  'examples/rooms-chat.html',
]

const guide = (...names) => names.map(name => `guide/${name}.md`)
const reference = (...names) => names.map(name => `reference/${name}.md`)

/** In the order of the sidebar. */
export const SECTIONS = {
  Start: ['index.md', 'reference/command.md', 'guide/browser.md'],
  Guide: guide('sockets', 'messaging', 'rooms', 'security', 'deployment', 'nats', 'testing'),
  Systems: guide('net', 'packets', 'sockety'),
  'Coming from': guide('from-conat', 'from-others'),
  Reference: reference('errors', 'limits', 'metrics', 'monitor', 'tracing', 'runtimes'),
  Protocols: ['fabric', 'socket', 'nats', 'net', 'packets', 'sockety'].map(name => `protocols/${name}.md`),
  Internals: [
    'ARCHITECTURE.md',
    ...[
      'boundary',
      'browser',
      'gateway',
      'nats-situations',
      'performance',
      'reliability',
      'rooms',
      'systems',
    ].map(name => `internals/${name}.md`),
    'benchmarks.md',
  ],
  Project: ['contributing.md', 'security.md', 'changelog.md'],
}
