/** The author of a message, as MLS has authenticated it. */
export interface Sender {
  /** The user's id. */
  userId: string;
  /** The device's id. */
  deviceId: string;
}
