export { type AddressRules, addressRules, type Reach } from './addresses.ts'
export { type ConnectOptions, type Egress, type EgressReply, type FetchOptions, openEgress } from './egress.ts'
