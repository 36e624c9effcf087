export { authenticator, type Authenticator } from './authenticate.ts'
export {
  createTenant,
  findTenant,
  type FirstSecrets,
  firstStart,
  firstTenant,
  resetAdmin,
  type Tenant,
} from './bootstrap.ts'
export { actingFor, declaredFor, ON_BEHALF_HEADER } from './delegation.ts'
export { admitExternal, type ExternalClaims, type ExternalUser } from './external-users.ts'
export { type Identity, openIdentity } from './identity.ts'
export { type ApiKey, createKey, findKey, type KeyChange, keysOf, type NewKey, revokeKey, updateKey } from './keys.ts'
export { login, type LoggedIn, type LoginAttempt, provePassword } from './login.ts'
export { hashPassword, requireStrongPassword } from './passwords.ts'
export {
  type AccessObject,
  type Actor,
  actorOf,
  calledName,
  can,
  type CredentialKind,
  floorOf,
  holds,
  type Principal,
  type PrincipalKind,
  systemPrincipal,
} from './principal.ts'
export { groupsOf, groupSpellings, patternsOf, type RoleRules, rolesOf, userRoles } from './roles.ts'
export { closeSession, closeSessionsOf, issueTicket, type NewSession, openSession, redeemTicket } from './sessions.ts'
export {
  beyondCeiling,
  meetPatterns,
  rightsOfRoles,
  type SubjectPermissions,
  type SubjectRights,
  type SubjectSide,
} from './subject-rights.ts'
export { openTokens, TOKEN_AUDIENCE, TOKEN_ISSUER, type Tokens } from './token-authority.ts'
export { isJwt, type KeyKind, newOpaqueToken, secretHash } from './tokens.ts'
export {
  bindRole,
  changeUser,
  createUser,
  findUser,
  listUsers,
  type NewUser,
  removeUser,
  type User,
  type UserChange,
} from './users.ts'
