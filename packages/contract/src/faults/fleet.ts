/** Conditions of the fleet surface alone. */
export const fleetFaults = {} as const
