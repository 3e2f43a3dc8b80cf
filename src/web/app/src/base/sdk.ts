/* The names that the app uses of the SDK. */
export type { DeviceInfo, ErrorCode, Message, Person, Reference, Role, RoomHold, RoomLine, SessionInfo, TrustLine } from "@secure-messaging/sdk";
export type {
  Conversation,
  NotificationPreferences,
  PendingSend,
  RoomMarks,
  SharedClient,
  SharedEvents,
  SharedMember,
  SharedStatus,
  Warning,
} from "@secure-messaging/sdk";
export { missingFeatures, openSharedClient, SecureMessagingError } from "@secure-messaging/sdk";
