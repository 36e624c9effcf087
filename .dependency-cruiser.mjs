/** The import directions that docs/architecture.md draws. Each rule is an error. */
const DOMAIN = '^apps/server/src/(platform|fleet|release|jobs)/'

export default {
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|data)/' },
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.tsx', '.js', '.mjs', '.json'],
      conditionNames: ['import', 'types', 'default'],
    },
  },
  forbidden: [
    { name: 'domains-stand-alone', from: { path: DOMAIN }, to: { path: DOMAIN, pathNot: '^apps/server/src/$1/' } },
    { name: 'kernel-knows-no-domain', from: { path: '^apps/server/src/kernel/' }, to: { path: DOMAIN } },
    {
      name: 'kernel-by-its-door',
      from: {
        path: '^apps/server/src/kernel/([^/]+)/|^apps/server/src/(?!kernel/)',
        pathNot: '^apps/server/src/testing/',
      },
      to: { path: '^apps/server/src/kernel/[^/]+/(?!(index|fake)\\.ts$)', pathNot: '^apps/server/src/kernel/$1/' },
    },
    {
      name: 'clients-know-no-server',
      from: { path: '^(apps/(console|agent|cli)|packages)/' },
      to: { path: '^apps/server/' },
    },
    { name: 'no-cycles', from: {}, to: { circular: true } },
  ].map((rule) => ({ ...rule, severity: 'error' })),
}
