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
  createRoom: (room) => session.call("POST", "v1/rooms", { ...room, visible: false, scheme: "mls10" }),
  room: (roomId) => session.call("GET", `v1/rooms/${roomId}`),
  changeRoom: (roomId, change) => session.call("PATCH", `v1/rooms/${roomId}`, change),
  deleteRoom: (roomId) => session.call("DELETE", `v1/rooms/${roomId}`),
  members: (roomId) => session.call("GET", `v1/rooms/${roomId}/members`),
  addMember: (roomId, member) => session.call("POST", `v1/rooms/${roomId}/members`, member),
  removeMember: (roomId, userId) => session.call("DELETE", `v1/rooms/${roomId}/members/${userId}`),
  setRole: (roomId, userId, role) => session.call("PATCH", `v1/rooms/${roomId}/members/${userId}`, { role }),
  devicesOfRoom: (roomId) => session.call("GET", `v1/rooms/${roomId}/devices`),
  devicesOfUser: (username) => session.call("GET", `v1/users/${encodeURIComponent(username)}/devices`),
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
