import type { Command, Group } from '../command.ts'
import { adminGroup } from './admin.ts'
import { agentGroup } from './agent.ts'
import { api } from './api.ts'
import { approvalGroup } from './approval.ts'
import { auditGroup } from './audit.ts'
import { completion } from './completion.ts'
import { config } from './config.ts'
import { contextGroup } from './context.ts'
import { dlqGroup } from './dlq.ts'
import { environmentGroup } from './environment.ts'
import { exec } from './exec.ts'
import { instanceGroup } from './instance.ts'
import { jobGroup } from './job.ts'
import { keyGroup } from './key.ts'
import { lockGroup } from './lock.ts'
import { login, logout } from './login.ts'
import { packGroup } from './pack.ts'
import { policyGroup } from './policy.ts'
import { roleGroup } from './role.ts'
import { runGroup } from './run.ts'
import { userGroup } from './user.ts'
import { whoami } from './whoami.ts'
import { queueGroup, workerGroup } from './worker.ts'
import { workflowGroup } from './workflow.ts'

/** Commands about things. */
export const groups: readonly Group[] = [
  instanceGroup,
  jobGroup,
  workflowGroup,
  runGroup,
  approvalGroup,
  dlqGroup,
  queueGroup,
  workerGroup,
  lockGroup,
  packGroup,
  environmentGroup,
  agentGroup,
  policyGroup,
  auditGroup,
  keyGroup,
  userGroup,
  roleGroup,
  contextGroup,
  adminGroup,
]

/** Commands that stand alone. */
export const topLevel: readonly Command[] = [login, logout, whoami, exec, api, config, completion]
