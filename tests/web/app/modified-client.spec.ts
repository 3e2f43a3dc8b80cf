import { SecureMessaging, type Room } from "../../../src/web/sdk/dist/index.js";
import { expect, password, test, type Person } from "./people.js";

/** Internals of the SDK that a modified client can reach. */
interface Inside {
  core: {
    group: { epoch: number; leaves(): { userId: string; index: number }[]; commit(change: { remove: number[]; add: Uint8Array[] }): Promise<OwnCommit> };
    exclusively(work: (draft: Draft) => Promise<boolean>): Promise<void>;
  };
}
interface Draft {
  usedKeys(group: unknown, epoch: number): void;
  setPending(commit: unknown): void;
}
interface OwnCommit {
  before: { epoch: number; merge(after: unknown): MergedGroup };
  after: unknown;
  commit: Uint8Array;
}
interface MergedGroup {
  epochs: number[];
  encodeBase(): Uint8Array;
  encodeRatchet(epoch: number): Uint8Array;
}
interface Client {
  userId: string;
  parts: {
    outbox: { waiting(roomId: string): { content: unknown }[] };
    session: { call(method: string, path: string, body: unknown): Promise<{ keyPackages: { keyPackage: string }[] }> };
  };
}

let serial = 0;

async function modified(url: string): Promise<SecureMessaging> {
  const username = `mallory${++serial}`;
  return SecureMessaging.signUp({ url, username, email: `${username}@example.org`, password });
}

/** A group that the modified client has created, open in the browsers of the others. */
async function group(mallory: SecureMessaging, name: string, ...others: Person[]): Promise<Room> {
  const room = await mallory.rooms.create(
    others.map((other) => other.name),
    { name },
  );
  for (const other of others) {
    await other.open(name);
    await expect(other.page.getByText("not in the encrypted group of this conversation yet")).toHaveCount(0);
  }
  await expect.poll(() => room.devices().length).toBe(others.length + 1);
  return room;
}

test("content that this app would never write is shown as such, and breaks nothing", async ({ person, server }) => {
  const anna = await person("anna");
  const mallory = await modified(server.url);
  try {
    const room = await group(mallory, "Odd", anna);
    const inside = room as unknown as Inside;
    const { outbox } = (mallory as unknown as Client).parts;
    const contents: unknown[] = [
      { type: "text", text: 5 },
      { type: "text" },
      { type: "reply", to: "<b>", text: "x" },
      { type: "edit", target: { toString: "x" }, text: "x" },
      { type: "reaction", target: crypto.randomUUID(), emoji: "x".repeat(5_000) },
      { type: "__proto__", polluted: true },
      { type: ["text"], text: "x" },
      { type: "text", text: "\ud800" },
    ];
    for (const content of contents)
      await inside.core.exclusively(async () => {
        await room.send("to be replaced");
        outbox.waiting(room.id).at(-1)!.content = content;
        return false;
      });
    await room.send("and then a message");
    await anna.sees("and then a message");
    await expect(anna.log.getByText("This app does not understand this message.").first()).toBeVisible();
    await expect(anna.log.getByText("to be replaced")).toHaveCount(0);
    expect((await anna.history()).filter((text) => text === "x")).toEqual([]);
    await anna.write("still here");
    await expect(anna.log.getByRole("img", { name: "Waiting to be sent" })).toHaveCount(0);
    expect(await anna.page.evaluate(() => "polluted" in {})).toBe(false);
  } finally {
    await mallory.close();
  }
});

test("a member who changes the readers without the list of members causes a warning, and the room continues", async ({ person, server }) => {
  const [anna, cleo] = [await person("anna"), await person("cleo")];
  const [mallory, stranger] = [await modified(server.url), await modified(server.url)];
  try {
    const room = await group(mallory, "Plot", anna, cleo);
    const { core } = room as unknown as Inside;
    const { parts, userId } = mallory as unknown as Client;
    const {
      keyPackages: [claimed],
    } = await parts.session.call("POST", "v1/key-packages/claim", { userIds: [stranger.userId] });
    const evil = core.group;
    const others = evil.leaves().filter((leaf) => leaf.userId !== userId);
    const own = await evil.commit({ remove: [others.at(-1)!.index], add: [Buffer.from(claimed!.keyPackage, "base64")] });
    const after = own.before.merge(own.after);
    const id = crypto.randomUUID();
    await core.exclusively(async (draft) => {
      draft.usedKeys(own.before, own.before.epoch);
      draft.setPending({
        id,
        generation: 0,
        epoch: evil.epoch,
        commit: own.commit,
        welcomes: [],
        base: after.encodeBase(),
        ratchets: after.epochs.map((epoch) => [epoch, after.encodeRatchet(epoch)]),
      });
      return false;
    });
    const call = parts.session.call.bind(parts.session);
    // The rest of the SDK in this client would repair the group, or report its own Commit and so start a new group, before the others react.
    parts.session.call = (method, path, body) => (/\/(invalid-)?commits$/.test(path) ? new Promise(() => undefined) : call(method, path, body));
    await call("POST", `v1/rooms/${room.id}/commits`, { id, epoch: evil.epoch, commit: Buffer.from(own.commit).toString("base64"), welcomes: [] });

    // A member who was not removed sees it at once, and both can continue.
    const warned = () => Promise.all([anna, cleo].map((other) => other.page.getByText("without changing the list of members").count()));
    await expect.poll(async () => Math.max(...(await warned()))).toBeGreaterThan(0);
    for (const other of [anna, cleo]) await expect(other.page.getByText("not in the encrypted group")).toHaveCount(0);
    await anna.write("are we alone?");
    await cleo.sees("are we alone?");
    await cleo.write("we are");
    await anna.sees("we are");
  } finally {
    await Promise.all([mallory.close(), stranger.close()]);
  }
});

test("a warning about new keys of a person stays until it is acknowledged", async ({ person, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "before");
  await ben.page.goto(`${server.url}/#/settings/devices`);
  await ben.page.getByRole("button", { name: "Replace identity key" }).click();
  await ben.page.getByRole("dialog").getByRole("button", { name: "Replace identity key" }).click();
  await expect(anna.page.getByText("A safety number has changed")).toBeVisible();
  await anna.page.reload();
  await expect(anna.page.getByText("A safety number has changed")).toBeVisible();
  await anna.page.getByRole("button", { name: "I have compared it" }).click();
  await expect(anna.page.getByText("A safety number has changed")).toHaveCount(0);
  await ben.open(anna.name);
  await expect(ben.page.getByText("not in the encrypted group")).toHaveCount(0);
  await anna.write("after");
  await ben.sees("after");
});
