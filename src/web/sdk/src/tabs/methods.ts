import type { SharedClient } from "./sharedClient.js";

/** The calls of a tab to the leader. @internal */
export type Method = Exclude<
  { [K in keyof SharedClient]: SharedClient[K] extends (...args: never[]) => Promise<unknown> ? K : never }[keyof SharedClient],
  "close"
>;

/** A call of a tab to the leader. @internal */
export interface Call {
  /** A random id of the asking tab. It stays the same when the call is repeated, so that its effect happens once. */
  id: string;
  /** The user of the asking tab. The leader rejects the call when another user is signed in. */
  userId?: string;
  method: Method;
  args: unknown[];
  /** Whether an earlier leader may have carried out the call, completely or partly. */
  repeated: boolean;
}

/** Each method once: a missing one does not compile. A page whose client runs in a worker knows the calls only by this table. */
const all: Record<Method, true> = {
  signUp: true,
  signIn: true,
  signOut: true,
  conversations: true,
  history: true,
  message: true,
  pending: true,
  marks: true,
  send: true,
  sendCustom: true,
  signal: true,
  edit: true,
  delete: true,
  react: true,
  moderate: true,
  pin: true,
  discard: true,
  retry: true,
  typing: true,
  setPrivacy: true,
  refreshPrivacy: true,
  proofOf: true,
  markRead: true,
  secret: true,
  draft: true,
  setDraft: true,
  createDirect: true,
  createGroup: true,
  rename: true,
  changeSettings: true,
  members: true,
  addMember: true,
  removeMember: true,
  setRole: true,
  answerHold: true,
  agreeToEnter: true,
  forgetRoom: true,
  reconcileRoom: true,
  lines: true,
  leave: true,
  deleteRoom: true,
  roomDevices: true,
  roomCode: true,
  safetyNumber: true,
  usernameOf: true,
  people: true,
  personLines: true,
  numberWith: true,
  verifyPerson: true,
  unverifyPerson: true,
  acceptPerson: true,
  acceptName: true,
  contactQr: true,
  verifyByQr: true,
  acknowledge: true,
  devices: true,
  deviceNames: true,
  nameDevice: true,
  signUsername: true,
  approveDevice: true,
  confirmDevice: true,
  deviceQr: true,
  approveDeviceByQr: true,
  revokeDevice: true,
  startOver: true,
  rotateDevice: true,
  replaceIdentity: true,
  sessions: true,
  endSession: true,
  endAllSessions: true,
  profile: true,
  changeEmail: true,
  changePassword: true,
  deleteAccount: true,
  dataHeld: true,
  dataInventory: true,
  exportAll: true,
  notifications: true,
  setNotifications: true,
  pushRegistered: true,
  pushKey: true,
  setPushEndpoint: true,
};

/** The names of all calls. @internal */
export const methods = Object.keys(all) as Method[];
