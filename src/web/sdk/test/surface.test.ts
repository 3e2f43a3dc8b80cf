import { expect, test } from "vitest";
import { compare, membersOf, readReport, surfacesOf, type Differences } from "./surface.js";

/**
 * What differs between `SecureMessaging`, whose rooms are objects, and `SharedClient`, whose calls take plain data. An operation of one belongs into the other,
 * or here, with a reason.
 */
const differences: Differences = {
  // The same under a name that also says of what it is: a flat list of calls needs it.
  names: {
    "call.conversations": ["rooms.list", "rooms.get"],
    "call.createDirect": "rooms.direct",
    "call.createGroup": "rooms.create",
    "call.send": ["room.send", "room.reply"],
    "call.marks": "room.reads",
    "call.pending": ["room.pending", "room.unsent"],
    "call.members": "room.members.list",
    "call.addMember": "room.members.add",
    "call.removeMember": "room.members.remove",
    "call.setRole": "room.members.setRole",
    "call.forgetRoom": "room.forget",
    "call.deleteRoom": "room.destroy",
    "call.reconcileRoom": "room.reconcile",
    "call.roomDevices": "room.devices",
    "call.roomCode": "room.code",
    "call.lines": ["room.lines", "people.lines"],
    "call.personLines": "people.lines",
    "call.numberWith": "people.safetyNumber",
    "call.people": ["people.list", "people.get", "people.holds"],
    "call.verifyPerson": "people.verify",
    "call.unverifyPerson": "people.unverify",
    "call.acceptPerson": "people.accept",
    "call.contactQr": "people.qrText",
    "call.devices": "devices.list",
    "call.deviceNames": "devices.lastNames",
    "call.nameDevice": "devices.setName",
    "call.approveDevice": "devices.approve",
    "call.approveDeviceByQr": "devices.approveByQr",
    "call.confirmDevice": "devices.confirm",
    "call.deviceQr": "devices.qrText",
    "call.revokeDevice": "devices.revoke",
    "call.rotateDevice": "devices.rotate",
    "call.sessions": "sessions.list",
    "call.endSession": "sessions.end",
    "call.endAllSessions": "sessions.endAll",
    "call.deleteAccount": "account.delete",
    "call.setPrivacy": "privacy.set",
    "call.refreshPrivacy": "privacy.refresh",
    "status.state": "devices.isApproved",
    "status.deviceId": "devices.currentId",
    "status.deviceCode": "devices.currentCode",
    "status.toConfirm": "devices.isOffered",
    "status.connected": "client.isConnected",
    "status.unsent": "client.unsent",
    "status.privacy": "privacy.settings",
    "conversation.title": "room.name",
    "conversation.memberCount": "room.members.list",
    "conversation.personId": "room.members.list",
    "conversation.earlier": "room.hasEarlier",
    "conversation.withheld": "room.isWithheld",
    "conversation.unconfirmed": "room.isConfirmed",
    "conversation.problem": ["room.problem", "room.isReady", "room.canBeRead"],
    "conversation.timeToLiveSeconds": "room.settings",
  },
  only: {
    "client.resume": "`openSharedClient` resumes by itself",
    "room.messages": "an iterator does not pass between tabs: the event `message` and `history` do",
    "room.whenReady": "a tab shows the problem `joining` meanwhile",
    "room.epoch": "the event `epoch` has it; nothing else of a tab depends on it",
    "call.secret": "for what a page stores outside of the SDK's store; a program in Node has its own place for secrets",
    "call.draft": "the page has no other encrypted place for it",
    "call.setDraft": "the page has no other encrypted place for it",
    "call.exportAll": "rooms that have ended are in the list of conversations alone",
    "status.leader": "there are no tabs",
    "status.storeError": "a call rejects with `StoreFailed`; the store of a program is its own",
    "status.endedElsewhere": "the event `signedOut` says it",
    "status.endReason": "the event `signedOut` says it",
  },
};

const events = {
  /** Events of `SecureMessaging` that are the status of a shared client, which all tabs must have at any time. */
  inStatus: ["connected", "disconnected", "approvalArrived", "approved", "signedOut"],
  /** In a shared client it is the warning `gaveUp`. */
  inWarning: ["error"],
  /** Events of the shared client that join several ones, so that a page reads again what it shows. */
  joined: ["status", "conversations", "roomChanged", "lines"],
};

const report = readReport();

test("each operation of one client is in the other under the same name, or has a reason", () => {
  expect(compare(surfacesOf(report), differences)).toEqual([]);
});

test("each event of a room and of the client is one of all tabs", () => {
  const { inStatus, inWarning, joined } = events;
  const own = [...membersOf(report, "ClientEvents"), ...membersOf(report, "RoomEvents")].filter((name) => ![...inStatus, ...inWarning].includes(name));
  expect([...own, ...joined].toSorted()).toEqual(membersOf(report, "SharedEvents").toSorted());
});

test("an operation that one client gets alone is reported, and a reason that is not needed", () => {
  const surfaces = surfacesOf(report);
  expect(surfaces.own).toEqual(expect.arrayContaining(["room.send", "room.members.setRole", "room.rename", "client.signIn", "client.on"]));
  expect(surfaces.shared).toEqual(expect.arrayContaining(["call.send", "status.connected", "conversation.unread"]));
  expect(compare({ ...surfaces, own: [...surfaces.own, "room.archive"] }, differences)).toEqual(["room.archive: only SecureMessaging has it"]);
  expect(compare({ ...surfaces, shared: [...surfaces.shared, "call.archive"] }, differences)).toEqual(["call.archive: only the shared client has it"]);
  expect(compare({ ...surfaces, own: surfaces.own.filter((path) => path !== "room.signal") }, differences)).toEqual([
    "call.signal: only the shared client has it",
  ]);
  const { only } = differences;
  expect(compare(surfaces, { ...differences, only: { ...only, "room.send": "why not" } })).toEqual([
    "room.send: both clients have it, so the table needs no reason",
  ]);
  expect(compare(surfaces, { ...differences, only: { ...only, "room.gone": "why not" } })).toEqual(["room.gone: it is in the table and in no client"]);
});
