export { SecureMessaging, type ClientEvents, type SignInOptions, type SignUpOptions } from "./client/client.js";
export { Room, type RoomEvents, type Sent } from "./rooms/room.js";
export { RoomBase } from "./rooms/roomBase.js";
export type { Member } from "./rooms/members.js";
export type { RoomHold, RoomHoldKind } from "./rooms/holds.js";
export type { RoomLine, RoomLineKind } from "./rooms/line.js";
export { Rooms, type CreateRoomOptions } from "./rooms/rooms.js";
export { Privacy, type PrivacySettings } from "./account/privacy.js";
export { Account, type NotificationPreferences, type Profile } from "./account/account.js";
export { Devices, type DeviceInfo } from "./account/devices.js";
export { Sessions, type SessionInfo } from "./account/sessions.js";
export { SecureMessagingError, type ErrorBody, type ErrorCode, type FieldError } from "./base/errors.js";
export type { Message, Sender, ShownContent, UnreadableContent } from "./rooms/records.js";
export type { SendOptions, Stored } from "./rooms/outbox.js";
export { People, type IdentityChange, type Person } from "./account/people.js";
export type { DevicesChange, Hold, HoldKind, TrustedDevice, TrustLine } from "./account/peopleTrust.js";
export type {
  Content,
  ContentFile,
  CustomContent,
  DeleteContent,
  EditContent,
  FileContent,
  LeaveContent,
  MalformedContent,
  MissingContent,
  ModerateContent,
  PinContent,
  ReactionContent,
  Reference,
  ReplyContent,
  TextContent,
  UnsupportedContent,
} from "./content/content.js";
export type { TranscriptMismatch } from "./rooms/applying.js";
export type { PendingSend } from "./rooms/pending.js";
export type { RoomProblem } from "./rooms/problem.js";
export type { MessageProof } from "./rooms/proofs.js";
export { safetyNumber } from "./trust/safety.js";
export { MemoryStore, type Changes, type ListOptions, type Store, type WriteOptions } from "./store/store.js";
export { IndexedDbStore } from "./store/indexedDb.js";
export { Emitter } from "./base/events.js";
export type { Role, RoomKind, RoomSettings, SessionEndReason, SettingsChange, Unknown } from "./net/wire.js";
export { openSharedClient, type SharedOptions } from "./tabs/open.js";
export type * from "./tabs/sharedClient.js";
export type * from "./tabs/sharedEvents.js";
export type * from "./tabs/status.js";
export type * from "./tabs/conversation.js";
export { missingFeatures, type PlatformFeature } from "./net/platform.js";
export type { ServerAddress } from "./net/http.js";
export type { Warning, WarningArea } from "./base/warnings.js";
