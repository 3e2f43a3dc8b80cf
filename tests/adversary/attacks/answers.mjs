// What the server answers to a client's own acts, and members who lie about others: T4, T6, T7 and T10.
import { plansOf } from "../attack.mjs";

const sqlite = ["sqlite"];
const hex = (base64) => Buffer.from(base64, "base64").toString("hex");

/** Two people in a room of this attack, each with a message of the other. */
async function pair(attack) {
  const [anna, ben] = await Promise.all([attack.person("anna"), attack.person("ben")]);
  const room = await attack.room([anna, ben]);
  const hello = attack.text("hello");
  await anna.send(room, hello);
  await ben.reads(room, hello);
  attack.watch(anna, ben);
  return { world: attack.world, anna, ben, room };
}

/** With new tokens, the server says that Anna is another user: Ben, or one who is in no room. */
async function swappedSession(attack) {
  const { anna, ben, room } = await pair(attack);
  const cleo = await attack.person("cleo");
  let renewed = 0;
  const once = anna.lane.onRequest(({ path }) =>
    path.startsWith("v1/auth/") ? undefined : { status: 401, body: { code: "Unauthenticated", detail: "expired", retryable: false } },
  );
  anna.lane.onResponse(({ path }, { body }) => {
    if (path !== "v1/auth/refresh" || !body?.userId) return undefined;
    renewed++;
    once();
    return { ...body, userId: ben.userId, username: ben.username };
  });
  await anna.call("devices").catch(() => undefined);
  const text = attack.text("Ben's words");
  await ben.send(room, text);
  const shown = await anna.reads(room, text, 5000);
  await ben.call("send", { room, text: attack.text("more") });
  anna.lane.clear();
  anna.lane.onRequest(({ path }) =>
    path.startsWith("v1/auth/") || renewed > 1 ? undefined : { status: 401, body: { code: "Unauthenticated", detail: "expired", retryable: false } },
  );
  anna.lane.onResponse(({ path }, { body }) => {
    if (path !== "v1/auth/refresh" || !body?.userId) return undefined;
    renewed++;
    return { ...body, userId: cleo.userId, username: cleo.username };
  });
  await anna.call("devices").catch(() => undefined);
  await ben.call("rotate");
  const ended = await anna.until(() => anna.notes.some(({ event }) => event === "roomEnded"), 8000);
  anna.lane.clear();
  return attack.judge({
    harm:
      [shown?.mine ? `Anna's client shows Ben's "${text}" as her own` : "", ended ? "Anna's client has deleted the keys of the room" : ""]
        .filter(Boolean)
        .join("; ") || undefined,
    signs: await attack.signs(room, [anna]),
    goesOn: ended || (await attack.goesOn(room, anna, ben)),
    detail: `renewed ${renewed} times`,
  });
}

/** The server acknowledges Anna's message with the place of a message of Ben, which Anna has read. */
async function falsePlace(attack) {
  const { anna, ben, room } = await pair(attack);
  const promise = attack.text("I owe you 100");
  const { seq } = await ben.send(room, promise);
  await anna.reads(room, promise);
  attack.watch(anna, ben);
  let swallowed = 0;
  const off = anna.lane.onCall(({ target, args }) => {
    if (target !== "SendBatch") return undefined;
    swallowed++;
    return {
      result: args[0].map(({ roomId, clientMessageId }) => ({
        ack: { roomId, clientMessageId, seq, createdAt: new Date(), duplicate: false },
      })),
    };
  });
  const text = attack.text("thanks");
  await anna.call("send", { room, text, wait: false });
  await anna.until(async () => !(await anna.find(room, promise)), 4000);
  const left = await anna.find(room, promise);
  const own = await anna.find(room, text);
  off();
  const signs = await attack.signs(room, [anna]);
  const there = await ben.reads(room, text, 3000);
  const later = await futurePlace(attack, { anna, ben, room });
  return attack.judge({
    harm:
      [left ? "" : `Ben's "${promise}" is gone from Anna's device`, own && !there ? `Anna's client shows "${text}" as sent, and the server never had it` : ""]
        .filter(Boolean)
        .join("; ") || undefined,
    signs,
    detail: `${swallowed} false answers; ${later}`,
  });
}

/** The same with the place that the next message will have, which Ben writes. */
async function futurePlace(attack, { anna, ben, room }) {
  const seq = (await attack.world.headOf(room)) + 1;
  const off = anna.lane.onCall(({ target, args }) =>
    target === "SendBatch" && args[0].some((each) => each.roomId === room)
      ? { result: args[0].map(({ roomId, clientMessageId }) => ({ ack: { roomId, clientMessageId, seq, createdAt: new Date(), duplicate: false } })) }
      : undefined,
  );
  await anna.call("send", { room, text: attack.text("later"), wait: false });
  const text = attack.text("next");
  await ben.send(room, text);
  await anna.reads(room, text, 4000);
  const settled = await anna.until(async () => (await anna.status(room)).unsent === 0, 3000);
  off();
  return settled ? "no send waits for a place that another has" : "a send waits for ever for a place that another has";
}

/** The server empties the place of Anna's own message before her device has read it. */
async function swallowedSend(attack) {
  const { anna, ben, room } = await pair(attack);
  const own = new Set();
  anna.lane.onCall(({ target, args }) => {
    if (target === "SendBatch") for (const { clientMessageId } of args[0]) own.add(clientMessageId);
  });
  const isOwn = (entry) => entry.kind === "message" && own.has(entry.id);
  for (const { lane } of [anna, ben])
    lane.onEntries(room, (entry) => (isOwn(entry) ? { seq: entry.seq, kind: "gone", createdAt: entry.createdAt, epoch: 0, id: entry.id } : entry));
  const text = attack.text("please call a doctor");
  await anna.call("send", { room, text, wait: false });
  await anna.until(async () => (await anna.status(room)).unsent === 0, 6000);
  const shown = await anna.find(room, text);
  return attack.judge({
    harm: shown ? undefined : `"${text}" is gone from Anna's own device: neither sent, nor waiting, nor failed`,
    signs: await attack.signs(room, [anna]),
  });
}

/**
 * Mallory, an admin, adds "Ben" with keys of her own to a room of Anna, who knows the true Ben; with `isMember`, after removing the true one there. The server
 * withholds Ben's device list from Anna. The content says what Ben's own client would say.
 */
const falseMember =
  ({ isMember }) =>
  async (attack) => {
    const { world, anna, ben, room: known } = await pair(attack);
    const mallory = await attack.member();
    const room = await attack.room(isMember ? [anna, ben, mallory] : [anna, mallory]);
    const original = attack.text("meet me at six");
    if (isMember) await ben.send(room, original);
    const target = isMember && (await anna.reads(room, original)).id;
    await anna.call("setRole", { room, user: mallory.userId, role: "admin" });
    await mallory.until(async () => (await mallory.status(room)).role === "admin");
    if (isMember) {
      await mallory.call("remove", { room, user: ben.userId });
      await anna.until(async () => !(await anna.status(room)).devices.some(({ userId }) => userId === ben.userId));
    }
    await mallory.call("seize", { room });
    const fake = await mallory.call("keyPackage", { name: "fake", userId: ben.userId });
    attack.watch(anna);
    anna.lane.onRequest(({ path }) =>
      path.startsWith(`v1/users/${ben.userId}/device-lists`) ? { status: 503, body: { code: "Unavailable", detail: "later", retryable: true } } : undefined,
    );
    const made = await mallory.call("craft", {
      room,
      what: "add",
      keyPackage: fake.keyPackage,
      statement: { add: { userId: ben.userId, identity: hex(fake.identityKey), list: 1 } },
    });
    await world.post(mallory, room, made, { roster: { add: [{ userId: ben.userId, role: "member" }] } });
    await anna.until(async () => (await anna.status(room)).epoch > made.epoch, 5000);
    await mallory.call("join", { room, name: "fake", welcome: made.welcome, as: "forged" });
    const list = { number: 0, hash: "A".repeat(22) };
    const text = attack.text("it is me, Ben");
    for (const content of [{ type: "text", text, list }, ...(target ? [{ type: "edit", target, text: attack.text("meet me at nine"), list }] : [])]) {
      const sealed = await mallory.call("seal", { room, as: "forged", content });
      await mallory.lane.append(room, Buffer.from(sealed.ciphertext, "base64"), sealed.epoch);
    }
    const shown = await anna.reads(room, text, 5000);
    const changed = target && (await anna.until(async () => (await anna.history(room)).some(({ id, edited }) => id === target && edited), 3000));
    // A mark about the device alone does not tell that another person may have written it.
    const isMarked = shown.marks?.otherIdentity === true;
    anna.lane.clear();
    return attack.judge({
      harm:
        [
          shown && !isMarked ? `Anna's client shows "${text}" as a message of Ben` : "",
          changed ? `and what Ben wrote before as "${(await anna.history(room)).find(({ id }) => id === target).text}"` : "",
        ]
          .filter(Boolean)
          .join(", ") || undefined,
      goesOn: await attack.goesOn(known, anna, ben),
      detail: `marks ${JSON.stringify(shown.marks)}`,
    });
  };

export const answers = plansOf("answers", [
  ["swapped-session", "T10", "refused", sqlite, "new tokens name another user", swappedSession],
  ["false-place", "T7", "refused", sqlite, "a send is acknowledged with the place of another's message", falsePlace, "harm"],
  ["swallowed-send", "T7", "refused", sqlite, "the place of an own message is emptied before it is read", swallowedSend],
  ["false-member", "T6", "refused", sqlite, "an admin adds a known user with other keys, who writes", falseMember({ isMember: false }), "harm"],
  ["false-return", "T6", "refused", sqlite, "an admin puts other keys in the place of a member, and edits", falseMember({ isMember: true }), "harm"],
]);
