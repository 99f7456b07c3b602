// The site's looks: everything is in it, nothing is loaded from elsewhere.
import { readFileSync } from 'node:fs'

const sidebar = JSON.parse(readFileSync(new URL('../.build/sidebar.json', import.meta.url), 'utf8'))

export default {
  title: 'selvedge',
  description: 'Reliable, ordered sockets for Node.js over publish/subscribe messaging',
  srcDir: '.build',
  // Under which path it is served, such as /selvedge/ on the pages of a repository.
  base: process.env.SITE_BASE ?? '/',
  cleanUrls: true,
  ignoreDeadLinks: false,
  // Not the contents of the site in each page.
  metaChunk: true,
  // The blocks of docs/ have < and {{ in text, which is no HTML and no template here.
  markdown: { html: false },
  themeConfig: {
    sidebar,
    outline: [2, 3],
    search: { provider: 'local' },
    docFooter: { prev: true, next: true },
  },
}
