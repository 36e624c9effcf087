import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { NullableText } from './words.ts'

export const version = area({
  getVersion: {
    method: 'GET',
    path: '/api/v1/version',
    group: 'Version',
    summary:
      'Versions of the server and of the Sindri CLI beside it, and the oldest instance version that it works with',
    permission: 'version:read',
    floor: 'VIEWER',
    rate: 'fleet-default',
    reply: Type.Object({
      console_api: Type.String(),
      sindri_cli: NullableText,
      cli_target: NullableText,
      cli_commit: NullableText,
      cli_build_date: NullableText,
      min_instance_version: NullableText,
      cli_available: Type.Boolean(),
    }),
    transaction: 'none',
  },
})
