export { BASE_ID, PolicySourceError, SETTINGS_ID, compilePolicy, type PolicySource } from './compile.ts'
export type { Snapshot } from './snapshot.ts'
export type { Constraints, Remediation } from './constraints.ts'
export { type Decision, type DecisionName } from './decision.ts'
export { DEFAULT_POLICY, DEFAULT_POLICY_ID } from './default-policy.ts'
export { evaluate } from './evaluate.ts'
export { explain, type Explanation, type TraceEntry } from './explain.ts'
export type { Facts } from './facts.ts'
export { contentHash, jobHash } from './hash.ts'
export { type ApprovalTerms, type Policy, type Rule, type TenantPolicy, type Verdict } from './language.ts'
export type { FactCondition, Match, McpLists } from './match.ts'
export { checkResponse, constraintsMessage, constraintsRecord, decisionRecord, remediationRecord } from './render.ts'
export type { PolicyRequest } from './request.ts'
export { type ListedRules, type ListedSource, listRules } from './rule-list.ts'
export { EFFECTIVE_CONFIG } from './safety.ts'
export { simulate } from './simulate.ts'
export type { Problem } from './yaml-reader.ts'
export {
  type CapturedDocument,
  type PolicyCapture,
  type PolicyNote,
  captureDocuments,
  capturedDocument,
  compileSet,
  getCapture,
  listCaptures,
  publishDocuments,
  rollbackDocuments,
} from './captures.ts'
export { type LoadedPolicy, PolicyEngine, type PolicyEngineOptions, listSnapshotIds, snapshotAt } from './engine.ts'
export {
  type PolicyDocument,
  type PolicyWrite,
  checkContent,
  deleteDocument,
  documentTag,
  getDocument,
  installDefaultPolicy,
  listDocuments,
  policyRevision,
  putDocument,
  raiseRevision,
} from './store.ts'
export { expectedRevision, revisionTag } from './revision-tag.ts'
export { type DefaultDecision, putDefaultDecision, settingsContent } from './settings.ts'
export { type PolicyAction, recordPolicyChange, type Caller as PolicyCaller } from './trail.ts'
export { topicGlob, type TopicTest } from './topics.ts'
