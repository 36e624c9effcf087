/// <reference types="vite/client" />

// Made at build time by contract-plugin.ts: the contract's tree with method, path and list mark of each endpoint.
declare module 'virtual:wheelhouse-contract' {
  export const contract: typeof import('@wheelhouse/contract').contract
}
