/** One module of the package: the main one (`index`) or a sub-path. Files are named from the root. */
export interface Subpath {
  name: string
  /** As programs import it. */
  specifier: string
  contract: string
  source: string
  /** What `require` gets. */
  entry: string
  /** What `import` gets, and its declarations. */
  module: string
  declarations: string
  /** What bundlers for pages take, if that is another file. */
  page?: string
}

export declare const subpaths: readonly Subpath[]
export declare function exportsEntry(subpath: Subpath): object
