export { newNkey, publicKeyOf, isPublicKey, type Nkey } from './nkeys.ts'
export { newOperator, natsServerConfig, type OperatorKeys, type NatsServerOptions } from './operator.ts'
