export { SecureMessaging, type ClientEvents, type SignInOptions, type SignUpOptions } from "./client.js";
export { Room, type Member, type RoomEvents, type Sent } from "./room.js";
export { Rooms, type CreateRoomOptions } from "./rooms.js";
export { Privacy, type PrivacySettings } from "./privacy.js";
export { Account, type Profile } from "./account.js";
export { Devices, Sessions, type DeviceInfo, type SessionInfo } from "./devices.js";
export { SecureMessagingError, type ErrorBody, type ErrorCode, type FieldError } from "./errors.js";
export type { Message, Sender, UnreadableContent } from "./rooms/records.js";
export type { SendOptions, Stored } from "./rooms/outbox.js";
export type { IdentityChange } from "./account/people.js";
export { safetyNumber } from "./account/people.js";
export type {
  Content, CustomContent, DeleteContent, EditContent, MalformedContent, NameContent, ReactionContent, ReceiptContent, ReplyContent, TextContent, UnsupportedContent,
} from "./content.js";
export { MemoryStore, type Changes, type ListOptions, type Store } from "./store/store.js";
export { IndexedDbStore } from "./store/indexedDb.js";
export { Emitter } from "./events.js";
export type { Role, RoomKind, SessionEndReason, Unknown } from "./wire.js";
export { openSharedClient, type SharedOptions } from "./tabs/open.js";
export type * from "./tabs/shared.js";
export { missingFeatures, type PlatformFeature } from "./platform.js";
export type { ServerAddress } from "./net/http.js";
export type { Warning, WarningArea } from "./warnings.js";
