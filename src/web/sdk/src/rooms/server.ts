import { fromBase64, toBase64 } from "../base/bytes.js";
import type { Session } from "../net/session.js";
import type { ClaimedKeyPackages } from "../net/wire.js";
import type { Server } from "./ports.js";

/** The port with the server's REST API. @internal */
export const serverOf = (session: Session): Server => ({
  get isOver() {
    return session.isOver;
  },
  now: () => session.now(),
  createRoom: ({ founding, userIds, ...room }) =>
    // The server's contract wants the list of usernames, also when the members are named by their ids.
    session.call("POST", "v1/rooms", { ...room, members: [], userIds, founding: toBase64(founding), visible: false, scheme: "mls10" }),
  room: (roomId) => session.call("GET", `v1/rooms/${roomId}`),
  deleteRoom: (roomId) => session.call("DELETE", `v1/rooms/${roomId}`),
  removeMember: (roomId, userId) => session.call("DELETE", `v1/rooms/${roomId}/members/${userId}`),
  devicesOfRoom: (roomId) => session.call("GET", `v1/rooms/${roomId}/devices`),
  async claim(userIds, deviceIds) {
    const { keyPackages } = await session.call<ClaimedKeyPackages>("POST", "v1/key-packages/claim", { userIds, deviceIds });
    return keyPackages.map((claimed) => ({ ...claimed, keyPackage: fromBase64(claimed.keyPackage) }));
  },
  commit: (roomId, { id, epoch, commit, welcomes, roster }) =>
    session.call("POST", `v1/rooms/${roomId}/commits`, {
      id,
      epoch,
      commit: toBase64(commit),
      welcomes: welcomes.map(toBase64),
      ...(roster ? { roster } : {}),
    }),
  reportInvalidCommit: (roomId, seq) => session.call("POST", `v1/rooms/${roomId}/invalid-commits`, { seq }),
  welcomes: (deviceId) => session.call("GET", `v1/devices/${deviceId}/welcomes`),
  deleteWelcome: (deviceId, { roomId, seq }) => session.call("DELETE", `v1/devices/${deviceId}/welcomes/${roomId}/${seq}`),
});
