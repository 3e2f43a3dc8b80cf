// A world that the hostile server makes for one client: a group of its own under the id of a real room, and a log that leads there.
import { randomUUID } from "node:crypto";

/**
 * Mallory founds a group with the id of the room and adds the victim's KeyPackage to it. The victim's lane then shows this group's Welcome, a log of one
 * Commit, and answers its sends. Returns the ciphertexts that the victim sends.
 * @param as - The user id of the founder's leaf.
 * @param beside - Other people whose real KeyPackages stand in the group too.
 * @param chain - What the chain of the Welcome says, with a founder that is Mallory's own device; without it, the Welcome has no chain.
 */
export async function fakeWorld(attack, { victim, mallory, room, as, beside = [], chain }) {
  const { world } = attack;
  const founder = chain ? await mallory.call("ownPackage", { name: "founder" }) : await mallory.call("keyPackage", { name: "founder", userId: as });
  chain?.members.push({ userId: mallory.userId, identity: founder.identity });
  const keyPackages = await Promise.all([victim, ...beside].map((client) => world.claim(mallory, client)));
  const { welcome, commit, epoch } = await mallory.call("found", { room, generation: 0, name: "founder", keyPackages, emptyCommits: chain ? 2 : 0, chain });
  return { ...showWorld(victim.lane, { room, welcome, epoch, ciphertext: Buffer.from(commit, "base64") }), founder };
}

/** Shows a Welcome and a log that ends at its Commit, and answers all sends to the room. */
export function showWorld(lane, { room, welcome, epoch, ciphertext, seq = 1 }) {
  const sent = [];
  let head = seq;
  const entry = { seq, kind: "commit", createdAt: new Date(Math.floor(Date.now() / 60_000) * 60_000), id: randomUUID(), ciphertext, epoch };
  const entries = [entry];
  lane.onResponse(({ method, path }, { body }) => {
    if (method !== "GET" || !path.endsWith("/welcomes") || !Array.isArray(body)) return undefined;
    return [...body.filter((each) => each.roomId !== room), { roomId: room, generation: 0, seq, message: welcome }];
  });
  lane.onRequest(({ method, path }) => (method === "DELETE" && path.includes(`/welcomes/${room}/`) ? { status: 204 } : undefined));
  lane.onCall(({ target, args }) => {
    if (target === "Sync" && args[0] === room)
      return { result: { roomId: room, entries: entries.filter((each) => each.seq > args[1]), headSeq: head, firstSeq: seq } };
    if (target !== "SendBatch" || args[0].every(({ roomId }) => roomId !== room)) return undefined;
    const result = args[0].map(({ clientMessageId, ciphertext: bytes, epoch: of }) => {
      sent.push(bytes);
      head++;
      const createdAt = new Date(Math.floor(Date.now() / 60_000) * 60_000);
      entries.push({ seq: head, kind: "message", createdAt, id: clientMessageId, ciphertext: bytes, epoch: of });
      return { ack: { roomId: room, clientMessageId, seq: head, createdAt, duplicate: false } };
    });
    setTimeout(() => lane.push("Received", room, entries.slice(-result.length)), 5);
    return { result };
  });
  lane.onResult(({ target }, result) => {
    if (target !== "Heads") return undefined;
    return [...result.filter((each) => each.roomId !== room), { roomId: room, headSeq: head, firstSeq: seq, deliveredSeq: 0, unread: 0 }];
  });
  lane.onPush(({ target, args }) => (["Received", "RoomChanged"].includes(target) && args[0] === room ? null : undefined));
  /** Shows one more message. */
  const append = (bytes, of) => {
    head++;
    entries.push({ seq: head, kind: "message", createdAt: new Date(Math.floor(Date.now() / 60_000) * 60_000), id: randomUUID(), ciphertext: bytes, epoch: of });
    lane.push("Received", room, entries.slice(-1));
  };
  return { sent, append };
}
