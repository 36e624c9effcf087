import {
  Bell,
  Braces,
  Cog,
  GitFork,
  OctagonX,
  Split,
  TextCursorInput,
  Timer,
  UserCheck,
  Workflow,
  type LucideIcon,
} from 'lucide-react'

const KINDS: Record<string, { word: string; icon: LucideIcon }> = {
  job: { word: 'Job', icon: Cog },
  approval: { word: 'Approval', icon: UserCheck },
  form: { word: 'Value from a person', icon: TextCursorInput },
  condition: { word: 'Condition', icon: Split },
  switch: { word: 'Choice of a branch', icon: Split },
  delay: { word: 'Delay', icon: Timer },
  notify: { word: 'Notification', icon: Bell },
  transform: { word: 'Transform', icon: Braces },
  fork: { word: 'Fork', icon: GitFork },
  run: { word: 'Workflow', icon: Workflow },
  fail: { word: 'Failure', icon: OctagonX },
}

/** What a node does, for who has not written it. */
export const kindWords = (kind: string): string => KINDS[kind]?.word ?? kind

/** Its mark, where it has no state yet. */
export const kindIcon = (kind: string): LucideIcon => KINDS[kind]?.icon ?? Cog
