export { beginFlow, FLOW_MS, takeFlow } from './flows.ts'
export { newOidcSecrets, type OidcFlow, type OidcProvider, openOidc } from './oidc.ts'
export { ownPath } from './own-path.ts'
export { failureOf, loginPage, signIn } from './sign-in.ts'
