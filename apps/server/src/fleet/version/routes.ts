import { fleet } from '@wheelhouse/contract/fleet/index'
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { SERVER_VERSION } from './server-version.ts'

/** fleet.md §2, Version. Wheelhouse needs no Sindri CLI beside it: its absence is documented as no error. */
export const routes = (_kernel: Kernel) =>
  serve('fleet', fleet.version, {
    getVersion: () => ({
      console_api: SERVER_VERSION,
      sindri_cli: null,
      cli_target: null,
      cli_commit: null,
      cli_build_date: null,
      min_instance_version: null,
      cli_available: false,
    }),
  })
