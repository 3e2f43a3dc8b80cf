export { openSharedClient, type SharedOptions } from "./tabs/open.js";
export { SecureMessagingError, type ErrorCode } from "./errors.js";
export type * from "./tabs/shared.js";
export type { Message, Sender, UnreadableContent } from "./rooms/records.js";
export type { Content, CustomContent, MalformedContent, NameContent, ReplyContent, TextContent } from "./content.js";
export type { DeviceInfo, SessionInfo } from "./devices.js";
export type { PrivacySettings } from "./privacy.js";
export type { Role, RoomKind } from "./wire.js";
