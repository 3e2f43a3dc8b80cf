// Who wrote it: T2, T4 and T9. The attacker is a member with a program of its own; the server is honest unless the row says otherwise.
import { plansOf } from "../attack.mjs";
import { randomBytes, randomUUID } from "node:crypto";
import { lineOf, signOf } from "../signs.mjs";

const sqlite = ["sqlite"];

/** Anna, Ben and Mallory, whose client has become a program. With `first`, Mallory founded the room. */
export async function withMember(attack, { first = false } = {}) {
  const { world } = attack;
  const { anna, ben } = await attack.cast();
  const mallory = await attack.member();
  const room = await attack.room(first ? [mallory, anna, ben] : [anna, ben, mallory]);
  const hello = attack.text("original");
  const { id, seq } = await ben.send(room, hello);
  await anna.reads(room, hello);
  await mallory.call("seize", { room });
  attack.watch(anna, ben);
  return { world, anna, ben, mallory, room, hello, id, seq };
}

/** Posts a Commit of Mallory's. */
async function commit(attack, { mallory, room }, what, options) {
  const made = await mallory.call("craft", { room, what, ...options });
  await attack.world.post(mallory, room, made);
  return made;
}

/** Posts a Commit of Mallory's. Returns whether Anna has followed it. */
async function post(attack, { anna, mallory, room }, what, options) {
  const made = await commit(attack, { mallory, room }, what, options);
  const followed = await anna.until(async () => (await anna.status(room)).epoch > made.epoch, 2500);
  return { ...made, followed };
}

/** Appends a content. The server helps: it stores also what an honest server would reject, because its epoch is over. */
async function write({ world }, mallory, room, content, as) {
  const sealed = await mallory.call("seal", { room, as, content });
  const bytes = Buffer.from(sealed.ciphertext, "base64");
  try {
    await mallory.lane.append(room, bytes, sealed.epoch);
  } catch {
    const { database } = world;
    await world.insertEntry(room, "message", { ciphertext: database.bytes(bytes), epoch: String(sealed.epoch), id: database.id(randomUUID()) });
  }
  return sealed;
}

/** Whether a message has a mark that tells people not to believe its author. */
export const isMarked = (message) => Object.values(message.marks ?? {}).some(Boolean);
const also = (signs) => (signs.length > 0 ? `beside the message: ${signs.join(", ")}` : "");

/** Mallory makes a leaf with Ben's user id, or turns the own leaf into one, and writes with it. */
function forgery(craft, kind) {
  return async (attack) => {
    const all = await withMember(attack);
    const { anna, ben, mallory, room, hello, id, seq } = all;
    await commit(attack, all, craft, { userId: ben.userId, deviceId: craft === "pathLeaf" ? ben.deviceId : undefined });
    const text = attack.text("forged");
    const content = { message: { type: "text", text }, edit: { type: "edit", target: id, text }, delete: { type: "delete", target: id, seqs: [seq] } }[kind];
    await write(attack, mallory, room, content, "forged");
    const look = async (client) => {
      const history = await client.history(room);
      if (kind === "message") return history.find((message) => message.text === text && message.from === ben.userId && !isMarked(message));
      const target = history.find((message) => message.id === id);
      if (kind === "edit") return target?.text === text;
      return target?.deleted || target?.text !== hello;
    };
    const done = await anna.until(() => look(anna), 3000);
    const onOwn = done && (await ben.until(() => look(ben), 1500));
    const signs = await attack.signsWithin(done ? 1500 : 0, room, [anna, ben]);
    const harm = {
      message: `Anna's client shows "${text}" as written by Ben`,
      edit: `Anna's client shows "${text}" in the place of what Ben wrote`,
      delete: "Anna's client shows Ben's message as deleted by Ben",
    }[kind];
    // A warning about the group does not tell that this message is forged: the history keeps it.
    return attack.judge({
      harm: done ? `${harm}${onOwn ? ", and so does Ben's own client" : ""}` : undefined,
      signs: done ? [] : signs,
      goesOn: Boolean(done) || (await attack.goesOn(room, anna, ben)),
      detail: done ? also(signs) : "",
    });
  };
}

/** A second leaf of Mallory's own device. */
async function twinLeaf(attack) {
  const all = await withMember(attack);
  const { anna, ben, mallory, room } = all;
  await post(attack, all, "twin");
  const twins = (status) => status.devices.filter(({ deviceId }) => deviceId === mallory.deviceId).length;
  const seen = await anna.until(async () => twins(await anna.status(room)) > 1, 2000);
  const signs = await attack.signsWithin(seen ? 5000 : 0, room, [anna, ben], { lines: true });
  return attack.judge({
    harm: seen ? "the group has two leaves of one device" : undefined,
    signs,
    goesOn: Boolean(seen) || (await attack.goesOn(room, anna, ben)),
  });
}

/** A plain member lets a stranger in, without the server. */
async function ghostByMember(attack) {
  const all = await withMember(attack);
  const { anna, ben, mallory, room } = all;
  const { epoch } = await post(attack, all, "forgedLeaf", { userId: randomUUID() });
  const secret = attack.text("secret");
  const after = await attack.world.headOf(room);
  await anna.call("send", { room, text: secret, wait: false });
  await ben.reads(room, secret, 3000);
  const entries = await attack.world.log(ben, room, after);
  const texts = await mallory.call("read", { room, entries, only: "forged" });
  const signs = await attack.signsWithin(4000, room, [anna, ben], { lines: true });
  return attack.judge({
    harm: texts.includes(secret) ? `a leaf of a stranger can read "${secret}"` : undefined,
    signs,
    goesOn: texts.includes(secret) || (await attack.goesOn(room, anna, ben)),
    detail: `epoch ${epoch}`,
  });
}

/** The other person of a direct room adds a third one, with a statement. */
async function directThird(attack) {
  const anna = await attack.person("anna");
  const [mallory, spy] = await Promise.all([attack.member(), attack.person("ghost", { program: "member.mjs" })]);
  const room = await attack.direct(anna, mallory);
  await mallory.call("seize", { room });
  attack.watch(anna);
  // The server helps, so that Anna's client can fetch the device list of the third one.
  await attack.world.insertMember(room, spy.userId);
  const [keyPackage, { identityKey: identity }] = [await attack.world.claim(mallory, spy), await spy.call("identity")];
  const made = await mallory.call("craft", { room, what: "add", keyPackage, statement: { add: { userId: spy.userId, identity } } });
  attack.welcomes.push(made.welcome);
  await attack.world.post(mallory, room, made);
  await anna.until(async () => (await anna.status(room)).epoch > made.epoch, 2500);
  await attack.isIn(spy, room, 3000);
  const secret = attack.text("secret");
  await anna.call("send", { room, text: secret, wait: false });
  const read = await attack.spyReads(spy, room, secret, anna);
  return attack.judge({
    harm: read ? `a third person read "${secret}" in a direct room` : undefined,
    signs: await attack.signs(room, [anna], { lines: true }),
    detail: (await anna.find(room, secret)) ? "" : "the message waits",
  });
}

/** A Commit that only Ben believes. */
async function evictOne(attack) {
  const all = await withMember(attack);
  const { anna, ben, mallory, room } = all;
  const made = await mallory.call("craft", { room, what: "evict", userId: ben.userId });
  await attack.world.post(mallory, room, made);
  const out = await ben.until(async () => {
    const status = await ben.status(room);
    return status.out || !status.known;
  }, 3000);
  const still = (await anna.status(room)).devices.some(({ userId }) => userId === ben.userId);
  const signs = await attack.signs(room, [ben], { lines: true });
  return attack.judge({
    harm: out ? `Ben's client believes that he was removed${still ? "; Anna's has him in the group" : ""}` : undefined,
    signs,
    goesOn: Boolean(out) || (await attack.goesOn(room, anna, ben)),
    detail: out ? also(await attack.signs(room, [anna])) : "",
  });
}

/** A plain member removes Ben with a Commit that is valid but for its right. */
async function bareRemoval(attack) {
  const all = await withMember(attack);
  const { anna, ben, room } = all;
  const { followed } = await post(attack, all, "remove", { userId: ben.userId });
  const isOut = followed && !(await anna.status(room)).devices.some(({ userId }) => userId === ben.userId);
  const signs = await attack.signsWithin(isOut ? 4000 : 0, room, [anna, ben], { lines: true });
  return attack.judge({
    harm: isOut ? "a member without the right removed Ben" : undefined,
    signs,
    goesOn: isOut || (await attack.goesOn(room, anna, ben)),
  });
}

/** A Commit that no member can apply. It must be known who sent it. */
function junk(what) {
  return async (attack) => {
    const all = await withMember(attack);
    const { anna, ben, mallory, room } = all;
    const begun = Date.now();
    await attack.world.post(mallory, room, await mallory.call("craft", { room, what }));
    const named = () =>
      [anna, ben].flatMap((client) =>
        client
          .shownSince(attack.marks.get(client), room)
          .filter((note) => signOf(note) ?? lineOf(note))
          .filter((note) => JSON.stringify(note.value ?? "").includes(mallory.userId) || JSON.stringify(note.value ?? "").includes(mallory.username))
          .map((note) => `${client.name}: ${note.value?.kind ?? note.event} names the author`),
      );
    const goesOn = await attack.goesOn(room, anna, ben);
    await anna.until(() => named().length > 0, 3000);
    const signs = [...new Set(named())];
    const others = await attack.signs(room, [anna, ben]);
    return attack.judge({
      harm: signs.length > 0 ? undefined : `the room stood still for ${((Date.now() - begun) / 1000).toFixed(0)} s, and nothing says who did it`,
      signs,
      goesOn,
      detail: signs.length > 0 ? "" : also(others),
    });
  };
}

/** Mallory edits and deletes what Ben wrote, under the own name. */
async function foreignEdit(attack) {
  const all = await withMember(attack);
  const { anna, ben, mallory, room, hello, id, seq } = all;
  const text = attack.text("edited by Mallory");
  for (const content of [
    { type: "edit", target: id, text },
    { type: "delete", target: id, seqs: [seq] },
    { type: "moderate", target: { author: ben.userId, id }, seqs: [seq] },
  ])
    await write(attack, mallory, room, content);
  const last = attack.text("last");
  await write(attack, mallory, room, { type: "text", text: last });
  await anna.reads(room, last, 3000);
  const shown = (await anna.history(room)).find((message) => message.id === id);
  return attack.judge({
    harm: shown?.text === hello && !shown.deleted ? undefined : "Anna's client shows Ben's message as changed",
    signs: await attack.signs(room, [anna, ben]),
    goesOn: await attack.goesOn(room, anna, ben),
  });
}

/** Mallory's message has the id of Ben's, so that an answer to Ben goes to Mallory. */
async function referenceCollision(attack) {
  const { anna, ben, mallory, room, hello, id } = await withMember(attack, { first: true });
  const text = attack.text("shall I delete all?");
  await write(attack, mallory, room, { type: "text", text, id });
  await anna.reads(room, text, 3000);
  await anna.call("react", { room, target: hello, emoji: "👍" });
  const wrong = await anna.until(async () => (await anna.history(room)).find((message) => message.text === text)?.reactions?.["👍"], 2000);
  return attack.judge({
    harm: wrong ? `Anna's reaction to Ben's message stands under Mallory's "${text}"` : undefined,
    signs: await attack.signs(room, [anna, ben]),
    goesOn: await attack.goesOn(room, anna, ben),
  });
}

/** After the removal of Mallory the server takes one more message of the old epoch. */
async function lateAuthor(attack) {
  const { anna, ben, mallory, room } = await withMember(attack);
  await anna.call("remove", { room, user: mallory.userId });
  await ben.until(async () => !(await ben.status(room)).devices.some(({ userId }) => userId === mallory.userId), 5000);
  const text = attack.text("I am still here");
  const sealed = await mallory.call("seal", { room, content: { type: "text", text } });
  await anna.lane.append(room, Buffer.from(sealed.ciphertext, "base64"), sealed.epoch);
  const shown = await ben.reads(room, text, 3000);
  return attack.judge({
    harm: shown && !isMarked(shown) ? `Ben's client shows "${text}" of a removed member like any other message` : undefined,
    signs: [...(await attack.signs(room, [anna, ben])), ...(shown && isMarked(shown) ? [`ben: ${Object.keys(shown.marks).join(", ")}`] : [])],
    goesOn: await attack.goesOn(room, anna, ben),
  });
}

/** An entry that no member wrote. */
async function strangeEntry(attack) {
  const { anna, ben, room } = await withMember(attack);
  const last = (await attack.world.log(anna, room)).findLast((entry) => entry.kind === "message");
  const bytes = Buffer.from(last.ciphertext, "base64");
  randomBytes(40).copy(bytes, bytes.length - 40);
  const { seq } = await anna.lane.append(room, bytes, last.epoch);
  const shown = await ben.until(async () => (await ben.history(room)).find((message) => message.seq === seq), 3000);
  return attack.judge({
    harm: shown?.from ? "Ben's client shows an author of bytes that no member wrote" : undefined,
    signs: await attack.signs(room, [anna, ben]),
    goesOn: await attack.goesOn(room, anna, ben),
    detail: shown ? `shown as ${shown.type}` : "not shown",
  });
}

export const authorship = plansOf("authorship", [
  ["forged-message", "T2", "refused", sqlite, "a leaf with Ben's user id and another identity writes", forgery("forgedLeaf", "message"), "harm"],
  ["forged-edit", "T2", "refused", sqlite, "such a leaf edits a message of Ben", forgery("forgedLeaf", "edit")],
  ["forged-deletion", "T4", "refused", sqlite, "such a leaf deletes a message of Ben", forgery("forgedLeaf", "delete")],
  ["path-leaf", "T2", "refused", sqlite, "the path of a Commit turns the own leaf into Ben's", forgery("pathLeaf", "message")],
  ["twin-leaf", "T2", "refused", sqlite, "two leaves of one device", twinLeaf],
  ["ghost-by-member", "T2", "refused", sqlite, "a plain member adds a stranger", ghostByMember],
  ["bare-removal", "T2", "refused", sqlite, "a plain member removes another", bareRemoval],
  ["direct-third", "T3", "refused", sqlite, "the other person of a direct room adds a third one", directThird, "harm"],
  ["evict-one", "T2", "refused", sqlite, "a junk Commit that only its victim believes", evictOne],
  ["junk-commit", "T9", "warned", sqlite, "200 random bytes win an epoch", junk("junk"), "harm"],
  ["signed-junk-commit", "T9", "warned", sqlite, "a signed Commit that no member can apply", junk("signedJunk")],
  ["foreign-edit", "T4", "refused", sqlite, "a member edits and deletes the message of another", foreignEdit],
  ["reference-collision", "T4", "refused", sqlite, "a message with the id of another's message", referenceCollision],
  ["late-author", "T4", "warned", sqlite, "a message of the old epoch by a removed member", lateAuthor, "harm"],
  ["strange-entry", "T4", "refused", sqlite, "bytes that no member wrote", strangeEntry],
]);
