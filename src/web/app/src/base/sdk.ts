/* The names that the app uses of the SDK. */
export type { DeviceInfo, ErrorCode, Message, Reference, Role, SessionInfo } from "@secure-messaging/sdk";
export type {
  Conversation,
  NotificationPreferences,
  PendingSend,
  RoomMarks,
  SharedClient,
  SharedEvents,
  SharedMember,
  SharedStatus,
} from "@secure-messaging/sdk";
export { missingFeatures, openSharedClient, SecureMessagingError } from "@secure-messaging/sdk";
