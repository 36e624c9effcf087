export { newNkey, type Nkey } from './nkeys.ts'
export { newOperator, natsServerConfig, type OperatorKeys, type NatsServerOptions } from './operator.ts'
export { type Permission } from './jwt.ts'
export { type AccountKind } from './account-claims.ts'
export { covers, subjectProblem, subscriptionProblem } from './subjects.ts'
export { accountKindOf, capabilityProblems, type Capabilities, type UserCredential, type UserGrant } from './users.ts'
export { openBus, type Bus, type BusOptions, type BusStatus } from './connection.ts'
export { type GatherOptions } from './account-traffic.ts'
export { type AccountMessage, type BusMessage, type Handler, type Headers, type Listening } from './message.ts'
export { type CapturedResult } from './results.ts'
export { openAccounts, type AccountOwner, type Accounts, type KeyCredential } from './accounts.ts'
export { verifyPacket } from './cap-signature.ts'
export {
  decodePacket,
  encodePacket,
  jetStreamAck,
  newPacket,
  streamFrame,
  type Decoded,
  type PacketPayload,
} from './cap.ts'
