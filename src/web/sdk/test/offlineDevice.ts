import { newId, randomBytes } from "../src/base/bytes.js";
import type { MessageRecord, RoomState } from "../src/rooms/records.js";
import { SignedRoom } from "../src/rooms/signedRoom.js";
import { IndexedDbStore } from "../src/store/indexedDb.js";
import { keys, pack } from "../src/store/store.js";
import { encodeFounding } from "../src/trust/founding.js";
import { emptyState } from "../src/trust/state.js";
import { someSettings } from "./someSettings.js";

/** An address without a server. */
export const url = "http://127.0.0.1:9";
export const me = newId();
export const ben = newId();

/** The store of an offline device that has read this many messages. */
export async function device(name: string, messages: number): Promise<{ roomId: string }> {
  const store = await IndexedDbStore.open(name);
  const founding = encodeFounding({ kind: "group", founder: me, identity: new Uint8Array(32), nonce: randomBytes(16) });
  const roster = [{ user: me, identity: new Uint8Array(32), since: 1, list: 1 }];
  const state = { ...emptyState, roster, roles: [{ user: me, role: 3 as const }], name: "Lunch", timeToLive: someSettings.timeToLiveSeconds };
  const signed = await (await SignedRoom.begin(founding)).next({ generation: 0, epoch: 1 }, { state, head: { number: 1, hash: randomBytes(32) } });
  const roomId = signed.id;
  const room: RoomState = { id: roomId, kind: "group", scheme: "mls10", generation: 0, cursor: messages, high: messages };
  await store.write(
    new Map([
      [
        keys.session,
        pack({
          url,
          userId: me,
          username: "anna",
          sessionId: newId(),
          accessToken: "x",
          accessIssuedAt: 0,
          accessExpiresAt: Date.now() + 3_600_000,
          refreshToken: "y",
        }),
      ],
      [keys.room(roomId), pack(room)],
      [keys.signed(roomId), signed.encode()],
      [keys.pin(ben), pack({ username: "ben" })],
      [keys.pinnedName("ben"), pack(ben)],
    ]),
  );
  for (let seq = 1; seq <= messages;) {
    const some = new Map<string, Uint8Array>();
    for (let i = 0; i < 1000 && seq <= messages; i++, seq++) {
      const mine = seq % 2 === 0;
      const record: MessageRecord = {
        seq,
        id: newId(),
        from: { userId: mine ? me : ben, deviceId: newId() },
        mine,
        at: seq * 60_000,
        content: { type: "text", text: `message ${seq}` },
      };
      some.set(keys.message(roomId, seq), pack(record)).set(keys.messageId(roomId, `${record.from!.userId}/${record.id}`), pack(seq));
    }
    await store.write(some);
  }
  await store.close();
  return { roomId };
}
