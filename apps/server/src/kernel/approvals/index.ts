export {
  type Approval,
  type ApprovalKind,
  type Approvals,
  type ApprovalState,
  type Ask,
  type CastVote,
  type Decided,
  type OnDecided,
  openApprovals,
  type Vote,
} from './approvals.ts'
