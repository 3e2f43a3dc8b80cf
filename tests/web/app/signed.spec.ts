import { Sqlite } from "../../adversary/database.mjs";
import { expect, test, type Person } from "./people.js";
import type { Server } from "./server.js";

/** The entry with which the server says that a user's devices have changed. */
const devicesChanged = 9;

async function group(founder: Person, name: string, ...others: Person[]): Promise<void> {
  const { page } = founder;
  await page.getByRole("button", { name: "New conversation" }).click();
  await page.getByRole("radio", { name: "Group" }).check();
  await page.getByLabel("Name of the group").fill(name);
  for (const other of others) {
    await page.getByLabel("Exact username").fill(other.name);
    await page.getByRole("button", { name: "Add", exact: true }).click();
  }
  await page.getByRole("button", { name: "Create group" }).click();
  await founder.write("Hello all");
  for (const other of others) {
    await other.open(name);
    await other.sees("Hello all");
  }
}

async function choose(who: Person, member: Person, item: string): Promise<void> {
  await who.page.getByRole("button", { name: `Options for ${member.name}` }).click();
  await who.page.getByRole("menuitem", { name: item }).click();
}

async function rename(who: Person, name: string): Promise<void> {
  await who.page.getByRole("button", { name: "Rename" }).click();
  await who.page.getByLabel("Name", { exact: true }).fill(name);
  await who.page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
}

const seesLine = (who: Person, text: string): Promise<void> => expect(who.log.getByText(text, { exact: true })).toBeVisible();

test("each change of a group is a line between the messages, with the names of who did it and of former members", async ({ person }) => {
  const [anna, ben, cleo] = [await person("anna"), await person("ben"), await person("cleo")];
  await group(anna, "Trip", ben);
  await seesLine(anna, "You started this conversation");
  await seesLine(anna, `You added ${ben.name}`);
  await seesLine(ben, `${anna.name} added this device to the conversation`);

  await anna.page.getByRole("button", { name: "Details" }).click();
  await anna.page.getByRole("button", { name: "Add a person" }).click();
  await anna.page.getByRole("dialog").getByLabel("Exact username").fill(cleo.name);
  await anna.page.getByRole("dialog").getByRole("button", { name: "Add", exact: true }).click();
  await seesLine(ben, `${anna.name} added ${cleo.name}`);
  await choose(anna, ben, "Make admin");
  await seesLine(ben, `${anna.name} made you an admin`);
  await rename(anna, "Journey");
  await seesLine(ben, `${anna.name} named the group “Journey”`);
  await expect(ben.page.getByRole("heading", { name: "Journey", level: 1 })).toBeVisible();
  await anna.page.getByLabel("Disappearing messages").selectOption({ label: "1 day" });
  await seesLine(ben, `${anna.name} set messages to disappear after 1 day`);
  await anna.page.getByLabel("Disappearing messages").selectOption({ label: "Off" });
  await seesLine(ben, `${anna.name} turned disappearing messages off`);
  await choose(anna, cleo, "Remove from group");
  await anna.page.getByRole("dialog").getByRole("button", { name: "Remove from group" }).click();
  await seesLine(ben, `${anna.name} removed ${cleo.name}`);
  await seesLine(anna, `You removed ${cleo.name}`);

  // A right that was taken meanwhile.
  await ben.page.getByRole("button", { name: "Details" }).click();
  await ben.page.getByRole("button", { name: "Rename" }).click();
  await ben.page.getByLabel("Name", { exact: true }).fill("Mutiny");
  await choose(anna, ben, "Make member");
  await seesLine(ben, `${anna.name} made you a member`);
  await ben.page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await expect(ben.page.getByRole("dialog").getByRole("alert")).toContainText("You do not have permission");
  await ben.page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await expect(ben.page.getByLabel("Disappearing messages")).toBeDisabled();

  await ben.page.reload();
  await seesLine(ben, `${anna.name} removed ${cleo.name}`);
  await ben.page.getByRole("button", { name: "Leave group" }).click();
  await ben.page.getByRole("dialog").getByRole("button", { name: "Leave group" }).click();
  await seesLine(anna, `${ben.name} left`);
  await anna.page.reload();
  await seesLine(anna, `${ben.name} left`);
  await seesLine(anna, `You removed ${cleo.name}`);
});

/** Works on the server's database while the server is down, as its operator can. */
async function asOperator(server: Server, database: Sqlite, work: () => Promise<unknown>): Promise<void> {
  await server.kill();
  await work();
  await server.start();
}

const userIdOf = async (database: Sqlite, { name }: Person): Promise<string> => {
  const rows = (await database.run(`select id from users where username = '${name}'`)) as [string][];
  return `x'${rows[0]![0]}'`;
};

/** The room that a person has open. */
const roomOf = (database: Sqlite, { page }: Person): string => database.id(/#\/c\/([0-9a-f-]{36})/.exec(page.url())![1]!);

test("a person whom only the server lists is no member, and reads nothing", async ({ person, server }) => {
  const [anna, ben, ghost] = [await person("anna"), await person("ben"), await person("ghost")];
  await anna.talkWith(ben, "hello");
  const database = new Sqlite(server.data);
  try {
    await asOperator(server, database, async () => {
      const [room, user] = [roomOf(database, anna), await userIdOf(database, ghost)];
      const seq = `(select last_seq from rooms where id = ${room})`;
      await database.run(`insert into room_members (room_id, user_id, role, joined_seq, delivered_seq) values (${room}, ${user}, 2, ${seq}, ${seq})`);
      await database.run(`update rooms set last_seq = last_seq + 1 where id = ${room}`);
      await database.run(`insert into entries (room_id, seq, kind, created_at, user_id) values (${room}, ${seq}, ${devicesChanged}, ${database.now}, ${user})`);
    });
  } finally {
    database.close();
  }
  // Keys of the ghost's device are there to be used.
  await expect(ghost.page.getByRole("navigation", { name: "Conversations" }).getByRole("link")).toHaveCount(1, { timeout: 60_000 });
  await anna.write("a secret");
  await ben.sees("a secret");
  await ben.write("another one");
  await anna.sees("another one");
  for (const who of [anna, ben]) {
    await who.page.getByRole("button", { name: "Details" }).click();
    const members = who.page.getByRole("complementary", { name: "Details" }).getByRole("listitem");
    await expect(members).toHaveCount(2);
    await expect(members.filter({ hasText: ghost.name })).toHaveCount(0);
    await expect(members.filter({ hasText: "1 device" })).toHaveCount(2);
  }
  await expect(ghost.page.getByText("secret")).toHaveCount(0);
});

test("a conversation that the server no longer shows is kept and says so, until the user gives it up", async ({ person, server }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await anna.talkWith(ben, "do not forget this");
  const database = new Sqlite(server.data);
  try {
    const [room, user] = [roomOf(database, anna), await userIdOf(database, ben)];
    const row = `room_members where room_id = ${room} and user_id = ${user}`;
    await database.run(`create temporary table kept as select * from ${row}`);
    await asOperator(server, database, () => database.run(`delete from ${row}`));
    const hold = ben.page.getByRole("alert").filter({ hasText: "The server does not show this conversation any more" });
    await expect(hold).toBeVisible({ timeout: 60_000 });
    await ben.page.reload();
    await expect(hold).toBeVisible();
    await ben.sees("do not forget this");
    await ben.box.fill("are you there?");
    await expect(ben.page.getByRole("button", { name: "Send", exact: true })).toBeDisabled();

    await asOperator(server, database, () => database.run("insert into room_members select * from kept"));
    await expect(hold).toHaveCount(0, { timeout: 60_000 });
    await ben.box.press("Enter");
    await anna.sees("are you there?");

    await asOperator(server, database, () => database.run(`delete from ${row}`));
    await expect(hold).toBeVisible({ timeout: 60_000 });
    await hold.getByRole("button", { name: "Give this conversation up" }).click();
    await ben.page.getByRole("dialog").getByRole("button", { name: "Give this conversation up" }).click();
    await expect(ben.page.getByText("You are no longer in this conversation")).toBeVisible();
    await ben.sees("do not forget this");
  } finally {
    database.close();
  }
});
