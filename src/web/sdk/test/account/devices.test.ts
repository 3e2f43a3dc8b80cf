import { beforeEach, expect, test, vi } from "vitest";
import { equal, newId, toBase64, toHex } from "../../src/base/bytes.js";
import type { TrustLine } from "../../src/account/peopleTrust.js";
import { decodeDeviceQr } from "../../src/account/transfers.js";
import { reasons } from "../../src/trust/deviceList.js";
import { AccountServer, Crash, Crashed, DeviceProcess } from "./accountServer.js";

vi.setConfig({ testTimeout: 60_000 });

let server: AccountServer;
let phone: DeviceProcess;

beforeEach(async () => {
  server = new AccountServer();
  phone = await new DeviceProcess(server).start();
  await phone.mayFound();
  await phone.device.reconcile();
});

/** A further device, which waits. */
async function another(): Promise<DeviceProcess> {
  const made = await new DeviceProcess(server).start();
  await made.device.reconcile();
  return made;
}

async function approve(device: DeviceProcess, by = phone): Promise<void> {
  const code = await by.device.approve(await device.waiting());
  await device.device.reconcile();
  await device.device.confirm(code);
  await device.device.reconcile();
}

const newest = () => server.lists.at(-1)!.known.list;

test("the first device makes list number 1", () => {
  expect(server.lists.map(({ known }) => known.list.reason)).toEqual([reasons.first]);
  expect(server.listed()).toEqual([phone.device.id]);
  expect(newest().username).toBe("anna");
});

test("an approved device is in the list, has the identity's key, the lists and the pins, and can approve others", async () => {
  await phone.book.takePins([{ user: newId(), username: "ben", identity: new Uint8Array(32), number: 0, list: new Uint8Array(32), verified: true }]);
  phone.device.acts.rooms = async () => [{ room: newId(), founding: new Uint8Array(32), generation: 0, number: 7, head: new Uint8Array(32) }];
  const laptop = await another();
  expect(laptop.isApproved).toBe(false);
  await approve(laptop);
  expect(server.listed()).toEqual([phone.device.id, laptop.device.id].toSorted());
  expect(server.row(laptop.device.id).sealedIdentity).toBeUndefined();
  expect(laptop.book.pins.userOf("ben")).toBeDefined();
  expect(laptop.book.pins.pin(laptop.book.pins.userOf("ben")!)).toMatchObject({ verified: "yes" });
  expect((await laptop.store.list("transferred/")).length).toBe(1);
  const tablet = await another();
  await approve(tablet, laptop);
  expect(server.approved()).toEqual(server.listed());
  expect(tablet.isApproved).toBe(true);
});

test("the own devices learn of an added and of a revoked device", async () => {
  const laptop = await another();
  await approve(laptop);
  const lines: TrustLine[] = [];
  phone.book.onChange(({ line }) => line && lines.push(line));
  const tablet = await another();
  await approve(tablet, laptop);
  await laptop.device.revoke(tablet.device.id);
  await phone.device.reconcile();
  expect(lines).toMatchObject([
    { kind: "devices", added: [tablet.device.id], signer: laptop.device.id },
    { kind: "devices", removed: [tablet.device.id], signer: laptop.device.id },
  ]);
});

test("a wrong code and an approval with another identity are refused", async () => {
  const laptop = await another();
  const code = await phone.device.approve(await laptop.waiting());
  await laptop.device.reconcile();
  expect(laptop.offers).toBe(1);
  await expect(laptop.device.confirm(code.replaceAll(/\d/g, "0"))).rejects.toMatchObject({ code: "Forbidden" });
  expect(laptop.isApproved).toBe(false);
  await laptop.device.confirm(code);
  expect(laptop.isApproved).toBe(true);
});

test("an approval is not accepted while the server withholds the list that has the device", async () => {
  const laptop = await another();
  const code = await phone.device.approve(await laptop.waiting());
  const kept = server.lists.pop()!;
  await laptop.device.reconcile();
  await expect(laptop.device.confirm(code)).rejects.toMatchObject({ code: "Forbidden" });
  server.lists.push(kept);
  await laptop.device.confirm(code);
  expect(laptop.isApproved).toBe(true);
});

test("one scan approves a device in both directions", async () => {
  const laptop = await another();
  const qr = (await decodeDeviceQr(await laptop.device.qrText()))!;
  await phone.device.approve(qr);
  await laptop.device.reconcile();
  expect(laptop.isApproved).toBe(true);
  expect(laptop.offers).toBe(0);
  expect(equal(laptop.device.identityKey!, phone.device.identityKey!)).toBe(true);
});

test("a server that invents an identity cannot use the QR code that it has not seen", async () => {
  const laptop = await another();
  const shown = (await decodeDeviceQr(await laptop.device.qrText()))!;
  // The attacker founds the account anew, with the keys that the server has.
  const rival = new AccountServer();
  Object.assign(rival, { userId: server.userId, rows: [] });
  const eve = await new DeviceProcess(rival).start();
  await eve.mayFound();
  await eve.device.reconcile();
  rival.rows.push({ ...server.row(laptop.device.id) });
  await eve.device.approve({ ...shown, secret: new Uint8Array(32) });
  Object.assign(server, { rows: rival.rows, lists: rival.lists, identityKey: rival.identityKey });
  await laptop.device.reconcile();
  expect(laptop.isApproved).toBe(false);
  expect(laptop.offers).toBe(0);
  expect(laptop.troubles).toContain("approvalNotValid");
});

test("other texts are not the QR code of a device", async () => {
  const laptop = await another();
  const text = await laptop.device.qrText();
  expect(await decodeDeviceQr(text)).toMatchObject({ user: server.userId, device: laptop.device.id });
  expect(await decodeDeviceQr(`${text.slice(0, 30)}${text[30] === "A" ? "B" : "A"}${text.slice(31)}`)).toBeUndefined();
  expect(await decodeDeviceQr("")).toBeUndefined();
  expect(await decodeDeviceQr("https://example.org")).toBeUndefined();
});

test("new keys are in the list", async () => {
  await phone.device.rotate();
  expect(newest()).toMatchObject({ reason: reasons.newKeys, number: 2 });
  expect(toBase64(newest().devices[0]!.signatureKey)).toBe(server.row(phone.device.id).signatureKey);
});

test("a new identity is signed by the old one, and the other devices have it without a code", async () => {
  const laptop = await another();
  await approve(laptop);
  const before = phone.device.identityKey!;
  await phone.device.replaceIdentity([]);
  await laptop.device.reconcile();
  await laptop.device.reconcile();
  expect(server.lists.map(({ known }) => known.list.reason)).toEqual([reasons.first, reasons.added, reasons.lost, reasons.newKeys, reasons.newKeys]);
  expect(equal(phone.device.identityKey!, before)).toBe(false);
  expect(equal(phone.device.identityKey!, laptop.device.identityKey!)).toBe(true);
  expect([phone.isApproved, laptop.isApproved]).toEqual([true, true]);
  // The one that was confirmed at the beginning.
  expect(laptop.offers).toBe(1);
  expect(server.approved()).toEqual(server.listed());
});

test("a lost device is revoked with the identity that it may have", async () => {
  const laptop = await another();
  const stolen = await another();
  await approve(laptop);
  await approve(stolen);
  await phone.device.replaceIdentity([stolen.device.id]);
  await laptop.device.reconcile();
  expect(server.listed()).toEqual([phone.device.id, laptop.device.id].toSorted());
  expect(server.approved()).toEqual(server.listed());
  await expect(stolen.device.reconcile()).rejects.toMatchObject({ code: "DeviceUnknown" });
  expect(stolen.isApproved).toBe(true);
});

test("a device that is not in the newest list keeps everything until a person starts over", async () => {
  const laptop = await another();
  await approve(laptop);
  await phone.device.revoke(laptop.device.id);
  const id = laptop.device.id;
  await expect(laptop.device.reconcile()).rejects.toMatchObject({ code: "DeviceUnknown", message: expect.stringContaining("revoked") as string });
  expect(laptop.device.id).toBe(id);
  expect(laptop.isApproved).toBe(true);
  await laptop.device.startOver();
  expect(laptop.device.id).not.toBe(id);
  expect(laptop.isApproved).toBe(false);
  expect(server.listed()).toEqual([phone.device.id]);
});

test("an empty answer about devices founds no identity and forgets nothing", async () => {
  const identity = toHex(phone.device.identityKey!);
  server.hidesDevices = true;
  await phone.device.reconcile();
  expect(toHex(phone.device.identityKey!)).toBe(identity);
  const fresh = await new DeviceProcess(server).start();
  await expect(fresh.device.reconcile()).rejects.toMatchObject({ code: "DeviceUnknown" });
  expect(server.identityKey).toBe(toBase64(phone.device.identityKey!));
});

test("a server that claims another identity for a while takes nothing from the device", async () => {
  const { identityKey } = server;
  server.identityKey = toBase64(new Uint8Array(32));
  const row = server.row(phone.device.id);
  const { identitySignature } = row;
  delete row.identitySignature;
  await phone.device.reconcile();
  expect(phone.isApproved).toBe(false);
  Object.assign(server, { identityKey });
  row.identitySignature = identitySignature!;
  await phone.device.reconcile();
  expect(phone.isApproved).toBe(true);
});

test("a device that the server has deleted is registered again with the same keys, while the signed list has it", async () => {
  const row = { ...server.row(phone.device.id) };
  server.rows = [];
  await phone.device.reconcile();
  expect(server.row(phone.device.id)).toMatchObject({ signatureKey: row.signatureKey, identitySignature: row.identitySignature });
  expect(phone.troubles).toEqual(["registeredAgain"]);
  expect(server.lists.length).toBe(1);
});

test("a device that the server adds is not in the list, and no device adds it", async () => {
  const ghost = await another();
  server.row(ghost.device.id).identitySignature = toBase64(new Uint8Array(64));
  await phone.device.reconcile();
  expect(server.listed()).toEqual([phone.device.id]);
});

test("a waiting device whose user has no other device any more begins with a new identity", async () => {
  const fresh = await another();
  await fresh.device.replaceIdentity([]);
  expect(fresh.isApproved).toBe(true);
  expect(server.listed()).toEqual([fresh.device.id]);
  expect(toBase64(fresh.device.identityKey!)).toBe(server.identityKey);
});

test("all devices lost: a new device begins a new chain after a person's decision, and another old device raises an alarm", async () => {
  server.rows = [];
  const fresh = await new DeviceProcess(server).start();
  await expect(fresh.device.reconcile()).rejects.toMatchObject({ code: "DeviceUnknown" });
  await fresh.device.startOver();
  expect(server.lists.map(({ known }) => known.list.reason)).toEqual([reasons.first]);
  expect(server.listed()).toEqual([fresh.device.id]);
  await expect(phone.device.reconcile()).rejects.toMatchObject({ code: expect.stringMatching("Conflict|DeviceUnknown") as string });
  expect(phone.book.holdOf(server.userId)).toMatchObject({ kind: "identityChanged" });
});

/** Runs an act that breaks off at each place, then starts again until nothing is left to do. */
async function atEachStep(prepare: () => Promise<() => Promise<void>>, expected: () => void | Promise<void>): Promise<void> {
  let length = Infinity;
  for (let at = 0; at < length; at++) {
    server = new AccountServer();
    phone = await new DeviceProcess(server).start();
    await phone.mayFound();
    await phone.device.reconcile();
    const act = await prepare();
    const crash = new Crash(at);
    await phone.start(crash);
    await act().then(
      () => (length = at),
      (error: unknown) => {
        if (!(error instanceof Crashed)) throw error;
      },
    );
    await phone.start();
    await phone.device.reconcile();
    await phone.device.reconcile();
    await expected();
  }
  expect(length).toBeGreaterThan(4);
}

test("an approval that breaks off at any place is completed or did not begin", async () => {
  let laptop!: DeviceProcess;
  await atEachStep(
    async () => {
      laptop = await another();
      const waiting = await laptop.waiting();
      return async () => void (await phone.device.approve(waiting));
    },
    () => {
      expect(server.approved()).toEqual(server.listed());
      expect([1, 2]).toContain(server.listed().length);
    },
  );
  expect(server.listed()).toContain(laptop.device.id);
});

test("a revocation that breaks off at any place is completed or did not begin", async () => {
  await atEachStep(
    async () => {
      const laptop = await another();
      await approve(laptop);
      return () => phone.device.revoke(laptop.device.id);
    },
    () => expect(server.approved()).toEqual(server.listed()),
  );
  expect(server.listed()).toEqual([phone.device.id]);
});

test("a rotation that breaks off at any place is completed or did not begin", async () => {
  await atEachStep(
    async () => () => phone.device.rotate(),
    () => {
      expect(toBase64(newest().devices[0]!.signatureKey)).toBe(server.row(phone.device.id).signatureKey);
      expect(toBase64(phone.device.signature.publicKey)).toBe(server.row(phone.device.id).signatureKey);
      expect(phone.isApproved).toBe(true);
    },
  );
});

test("a new identity that breaks off at any place is completed or did not begin, and the other device follows", async () => {
  let laptop!: DeviceProcess;
  await atEachStep(
    async () => {
      laptop = await another();
      await approve(laptop);
      return () => phone.device.replaceIdentity([]);
    },
    async () => {
      await laptop.device.reconcile();
      await laptop.device.reconcile();
      expect(server.approved()).toEqual(server.listed());
      expect(server.listed().length).toBe(2);
      for (const each of [phone, laptop]) {
        expect(toBase64(each.device.identityKey!)).toBe(server.identityKey);
        expect(toBase64(newest().devices.find((listed) => listed.device === each.device.id)!.signatureKey)).toBe(server.row(each.device.id).signatureKey);
      }
      expect(toBase64(newest().identity)).toBe(server.identityKey);
    },
  );
});

test("a new identity without the old one's key begins a new chain, at any place of a break", async () => {
  await atEachStep(
    async () => {
      // Another client has made the account, without lists.
      server.lists = [];
      phone = await new DeviceProcess(server).start();
      server.rows = [];
      await phone.mayFound();
      await phone.device.reconcile();
      server.lists = [];
      await phone.store.write(new Map((await phone.store.list("list/")).map(([key]) => [key, null])));
      return () => phone.device.replaceIdentity([]);
    },
    () => {
      expect(toBase64(phone.device.identityKey!)).toBe(server.identityKey);
      expect(toBase64(newest().identity)).toBe(server.identityKey);
      expect(server.listed()).toEqual([phone.device.id]);
    },
  );
});

test("two devices that change the list at the same time both succeed", async () => {
  const laptop = await another();
  await approve(laptop);
  const [a, b] = [await another(), await another()];
  await Promise.all([phone.device.approve(await a.waiting()), laptop.device.approve(await b.waiting()), laptop.device.rotate()]);
  expect(server.listed().length).toBe(4);
  expect(server.approved()).toEqual(server.listed());
});
