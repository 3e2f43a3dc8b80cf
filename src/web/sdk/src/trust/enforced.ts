/*
 * Whether each rule of trust is enforced. A product has all of them on, and nothing changes this object. A test build replaces one line, so that a test can
 * show what an attack does to a client without that rule.
 */
export const enforced = {
  /** What the members have signed says who is in a room, with which role and which identity key. */
  t1: true,
  /** The leaves of a group belong to users and devices in the signed state and lists. */
  t2: true,
  /** A direct room has the two users that it was founded for. */
  t3: true,
  /** A message counts for the user of the leaf that has sent it. */
  t4: true,
  /** The devices of a user are those in the user's signed list. */
  t5: true,
  /** Names and identity keys are those that this device has seen before. */
  t6: true,
  /** What members have read of the log is compared. */
  t7: true,
  /** Messages show the time that their author has signed, and are deleted from this device when their life is over. */
  t8: true,
  /** A Commit that is not valid is rejected, reported with its author, and the room goes on in the epoch before it. */
  t9: true,
  /** What the server leaves out of an answer deletes nothing. */
  t10: true,
};
