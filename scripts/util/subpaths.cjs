// What the package exports, by name. The list is `exports` of package.json; the build, packing and the tests loop over this.
const { exports: exported } = require('../../package.json')

/** `{name, specifier, contract, source, entry, module, declarations, page?}` for the main module and each sub-path; files from the root. */
exports.subpaths = Object.keys(exported)
  .filter(key => key !== './package.json')
  .map(key => (key === '.' ? main() : subpath(key.slice(2))))

/** The entry in `exports` of package.json that such a module must have. */
exports.exportsEntry = ({ contract, entry, module, declarations, page }) => ({
  ...(page && { browser: { types: `./${declarations}`, default: `./${page}` } }),
  import: { types: `./${declarations}`, default: `./${module}` },
  require: { types: `./${contract}`, default: `./${entry}` },
})

function main() {
  return {
    name: 'index',
    specifier: 'selvedge',
    contract: 'index.d.ts',
    source: 'lib/index.ts',
    entry: 'dist/index.js',
    ...generated('index'),
  }
}

function subpath(name) {
  return {
    name,
    specifier: `selvedge/${name}`,
    contract: `types/${name}.d.ts`,
    source: `lib/${name}/index.ts`,
    entry: `dist/${name}/index.js`,
    // What bundlers for pages take, and a page by itself: one module that imports nothing.
    ...(name === 'browser' && { page: 'dist/browser/selvedge.mjs' }),
    ...generated(name),
  }
}

/** What scripts/build-esm.mjs writes. */
function generated(name) {
  return { module: `dist/esm/${name}.mjs`, declarations: `dist/esm/${name}.d.mts` }
}
