/* The numbers of a room's groups, as far as a device follows what others say about them. A server could otherwise move a device to any number. */

/** A device follows a group at most this far above the newest one that it has seen in the log: section 5 of the specification. */
export const mostGenerationsAhead = 16;

/** Whether a value from the server is a generation: a uint32. */
export const isGeneration = (value: unknown): value is number => typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32;

/** Whether a value from the server is a generation that can follow `newest`, the newest one in the log. */
export const canFollowGeneration = (value: unknown, newest: number): value is number =>
  isGeneration(value) && value > newest && value <= newest + mostGenerationsAhead;
