/** Conditions of the fleet surface alone. */
export const fleetFaults = {
  INSTANCE_STATE: { status: 409, title: 'The instance cannot do this in its present status' },
  PROVIDER_DRIVER_MISSING: { status: 422, title: 'No driver for the provider of this instance is configured' },
  COMMAND_FAILED: { status: 502, title: 'The command could not be run' },
  CONTROL_PLANE_GUARDED: {
    status: 403,
    title: 'This instance runs Wheelhouse itself; only an administrator may do this',
  },
} as const
