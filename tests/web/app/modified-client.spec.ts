import { SecureMessaging, type Room } from "../../../src/web/sdk/dist/index.js";
import { expect, password, test, type Person } from "./people.js";

/** Internals of the SDK that a modified client can reach. */
interface Inside {
  core: {
    group: {
      epoch: number;
      leaves(): { userId: string; index: number }[];
      commit(change: { remove: number[]; add: Uint8Array[] }): Promise<{ commit: Uint8Array }>;
    };
  };
}
interface Client {
  userId: string;
  parts: {
    session: { call(method: string, path: string, body: unknown): Promise<{ keyPackages: { keyPackage: string }[] }> };
  };
}
interface Encrypting {
  encrypt(padded: Uint8Array): Promise<unknown>;
}

/** Pads a content as all clients do. */
function pad(content: Uint8Array): Uint8Array {
  const size = [256, 512, 1024, 2048, 4096, 8192, 16_384, 32_256].find((each) => each > content.length)!;
  const padded = new Uint8Array(size);
  padded.set(content);
  padded[content.length] = 0x80;
  return padded;
}

/** Sends a message with other content than the SDK would encrypt. */
async function sendInstead(room: Room, change: Record<string, unknown>): Promise<void> {
  const groups = Object.getPrototypeOf((room as unknown as Inside).core.group) as Encrypting;
  const encrypt = Reflect.get(groups, "encrypt") as (this: unknown, padded: Uint8Array) => Promise<unknown>;
  groups.encrypt = function (padded) {
    const content = JSON.parse(Buffer.from(padded.subarray(0, padded.lastIndexOf(0x80))).toString()) as object;
    return encrypt.call(this, pad(Buffer.from(JSON.stringify({ ...content, ...change }))));
  };
  try {
    await (
      await room.send("to be replaced")
    ).stored;
  } finally {
    groups.encrypt = encrypt;
  }
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
    const contents = [
      { type: "text", text: 5 },
      { type: "text", text: undefined },
      { type: "reply", to: "<b>", text: "x" },
      { type: "edit", target: { toString: "x" }, text: "x" },
      { type: "edit", target: crypto.randomUUID(), text: "x" },
      { type: "reaction", target: crypto.randomUUID(), emoji: "x".repeat(5_000) },
      { type: "__proto__", polluted: true },
      { type: ["text"], text: "x" },
      { type: "text", text: "\ud800" },
    ];
    for (const content of contents) await sendInstead(room, content);
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

test("a member who changes the readers without a signed statement is named, changes nothing, and the room continues", async ({ person, server }) => {
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
    const { commit } = await evil.commit({ remove: [others.at(-1)!.index], add: [Buffer.from(claimed!.keyPackage, "base64")] });
    const call = parts.session.call.bind(parts.session);
    // The rest of the SDK in this client would repair the group, or report its own Commit and so start a new group, before the others react.
    parts.session.call = (method, path, body) => (/\/(invalid-)?commits$/.test(path) ? new Promise(() => undefined) : call(method, path, body));
    await call("POST", `v1/rooms/${room.id}/commits`, {
      id: crypto.randomUUID(),
      epoch: evil.epoch,
      commit: Buffer.from(commit).toString("base64"),
      welcomes: [],
    });

    // All members see who it was, and go on in the epoch before. More than half of them report it, and the group is founded anew.
    for (const other of [anna, cleo]) await expect(other.log.getByText(`${mallory.username} tried to change this conversation`)).toBeVisible();
    for (const other of [anna, cleo]) await expect(other.page.getByText("not in the encrypted group")).toHaveCount(0);
    await expect(anna.log.getByText("restarted the encryption of this conversation")).toBeVisible();
    await anna.write("are we alone?");
    await cleo.sees("are we alone?");
    await cleo.write("we are");
    await anna.sees("we are");
  } finally {
    await Promise.all([mallory.close(), stranger.close()]);
  }
});

test("a line about new keys of a person stays, with the name", async ({ person, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "before");
  await ben.page.goto(`${server.url}/#/settings/devices`);
  await ben.page.getByRole("button", { name: "Replace identity key" }).click();
  await ben.page.getByRole("dialog").getByRole("button", { name: "Replace identity key" }).click();
  const line = anna.log.getByText(`${ben.name} has a new safety number, signed with the earlier keys`);
  await expect(line).toBeVisible();
  await anna.page.reload();
  await expect(line).toBeVisible();
  await ben.open(anna.name);
  await expect(ben.page.getByText("not in the encrypted group")).toHaveCount(0);
  await anna.write("after");
  await ben.sees("after");
});
