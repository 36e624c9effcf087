import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'
import { contractPlugin } from './contract-plugin.ts'

const root = fileURLToPath(new URL('.', import.meta.url))
const server = process.env.WHEELHOUSE_URL ?? 'http://127.0.0.1:8080'

// The product is index.html alone; gallery.html is served in development and never built.
export default defineConfig({
  root,
  plugins: [react(), tailwindcss(), contractPlugin()],
  // Found before the first request: what is imported lazily would otherwise reload the page in development.
  optimizeDeps: {
    include: ['cmdk', 'uplot', '@xterm/xterm', '@xterm/addon-fit', '@xyflow/react', 'elkjs/lib/elk-api.js'],
  },
  server: {
    host: '127.0.0.1',
    proxy: {
      '/api': { target: server, ws: true },
      '/ws': { target: server, ws: true },
      '/wheelhouse': { target: server, ws: true },
      '/health': { target: server },
    },
  },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    // All of these know light-dark() and relative colours; rewritten for older ones, a token could not be read in the other scheme.
    cssTarget: ['chrome123', 'firefox128', 'safari17.5'],
    manifest: true,
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: fileURLToPath(new URL('index.html', import.meta.url)),
      // The contract's modules only declare: one imported for its types alone brings no schema along.
      treeshake: { moduleSideEffects: [{ test: /\/packages\/contract\/src\//, sideEffects: false }] },
    },
  },
})
