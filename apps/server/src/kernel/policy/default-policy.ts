/** The id of the policy that every new tenant begins with (decisions D10). Not a `secops/` id, so bundles can overrule it. */
export const DEFAULT_POLICY_ID = 'default'

const DISK = '(sd|hd|vd|xvd|nvme|mmcblk|dm-|md|mapper/|disk/)'
const ROOT = String.raw`(/|~|\$HOME|/(bin|boot|dev|etc|home|lib|lib64|proc|root|sbin|sys|usr|var))/?\*?`
const RECURSIVE = String.raw`(-\w*[rR]\w*|--recursive)`

/**
 * The policy that every new tenant begins with: commands on production machines ask, commands that destroy a machine are
 * denied, the rest is allowed. Its text is what a person reads and copies, so it explains itself.
 */
export const DEFAULT_POLICY = String.raw`# The policy that Wheelhouse starts with. Copy what you want to change into a bundle of your own named secops/<name>:
# bundles whose id begins with secops/ are asked before this one, and the first rule that matches decides.
#
# A rule matches when everything under "match" holds:
#   topics, tenants, capabilities, risk_tags, requires, pack_ids, actor_ids, actor_types, labels, secrets_present, mcp
#   verbs     names of Wheelhouse's own verbs, for example command:execute or instance:*
#   facts     what a verb reports about its effect, for example instance.labels.env or reach.instances
#   command   the command line that would run:  cmd:<regexp> from the start of a command, re:<regexp> anywhere, or a glob
#
# "decision" is allow, deny, require_approval, allow_with_constraints or throttle.

version: "1"

# What happens when no rule matches: allow, deny or require_approval. A bundle of your own that says it goes before this,
# and the switch in the policy settings before both. To try what a change would have done, replay it over your history
# (what-if in the policy studio) before you publish it.
default_decision: allow

# These rules leave the older allow_topics and deny_topics lists of tenants in force.
keep_tenant_lists: true

rules:
  # A guard against accidents, on every machine and for everyone. It is no sandbox: take the permission away from those
  # who must not run commands.
  - id: destroys-filesystem
    match:
      command:
        - 'cmd:rm (\S+ )*${RECURSIVE} (\S+ )*${ROOT}( |$)'
        - 'cmd:rm (\S+ )*${ROOT} (\S+ )*${RECURSIVE}( |$)'
        - 'cmd:find ${ROOT} (-type \S+ )?-delete( |$)'
        - 'cmd:(chmod|chown|chgrp) (\S+ )*${RECURSIVE} (\S+ )*/\*?( |$)'
    decision: deny
    reason: the command would delete or take over the system's own files
    remediations:
      - id: name-the-folder
        title: Name the exact folder to remove
        summary: Remove the application's own folder instead of a system folder

  - id: destroys-disk
    match:
      command:
        - 'cmd:(mkfs(\.\w+)?|mke2fs|wipefs|blkdiscard)( |$)'
        - 'cmd:dd (\S+ )*of=/dev/${DISK}'
        - 're:>\s*/dev/${DISK}'
    decision: deny
    reason: the command would overwrite a disk
    remediations:
      - id: use-provider
        title: Change disks through the provider
        summary: Create or resize the volume where the machine comes from, then attach it

  - id: fork-bomb
    match:
      command:
        - 're:[\w:.]+ ?\(\) ?\{ ?[\w:.]+ ?\| ?[\w:.]+ ?& ?\} ?;'
    decision: deny
    reason: the command would exhaust the machine's processes

  - id: stops-machine
    match:
      command:
        - 'cmd:(shutdown|poweroff|halt|reboot)( |$)'
        - 'cmd:(init|telinit) [06]( |$)'
        - 'cmd:systemctl (\S+ )*(poweroff|reboot|halt|kexec)( |$)'
    decision: deny
    reason: the command would stop the machine behind the fleet's back
    remediations:
      - id: use-fleet
        title: Suspend or restart the instance in the fleet
        summary: The fleet then knows that the machine is meant to be away, and wakes nobody

  # Commands and terminals on machines that carry the label env=production wait for a second person.
  - id: production-exec
    match:
      topics:
        - job.wh.fleet.command.*
        - job.wh.fleet.terminal.*
      facts:
        instance.labels.env: [production, prod]
    decision: require_approval
    reason: commands on production machines need a second person
    approval:
      required: 1
      allow_self: false

tenants: {}
`
