import "./browser.js";
import { expect, test } from "vitest";
import type { SharedMember } from "../src/base/sdk.js";
import { inOrder, matches } from "../src/screens/room/order.js";

const member = (username: string, role: SharedMember["role"]): SharedMember => ({ userId: username, username, role, devices: 1, verified: "no" });

test("members stand by role and then by name", () => {
  const members = [member("cleo", "member"), member("ben", "admin"), member("anna", "member"), member("dan", "owner"), member("eve", "moderator")];
  expect(inOrder(members).map(({ username }) => username)).toEqual(["dan", "ben", "eve", "anna", "cleo"]);
  expect(members[0]!.username).toBe("cleo");
});

test("a member is found by a part of the name, in any case and with an @ before it", () => {
  const anna = member("anna.k", "member");
  expect(["", "ann", " ANN ", "@anna", "k"].filter((search) => matches(anna, search))).toHaveLength(5);
  expect(matches(anna, "ben")).toBe(false);
});
