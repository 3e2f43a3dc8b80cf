import { expect, test } from "vitest";
import { violations, type Layers } from "../../sdk/test/layers.js";

const screen = { folders: ["base", "text", "browser", "state", "components"], packages: ["react"] };

/** The layers of the app, the lowest first. A screen imports no other screen. `.` holds what puts the app together. */
const layers: Layers = {
  styles: { folders: [], packages: [] },
  base: { folders: [], packages: ["@secure-messaging/sdk", "react"] },
  "text/en": { folders: [], packages: [] },
  text: { folders: ["base", "text/en"], packages: [] },
  browser: { folders: ["base"], packages: ["@secure-messaging/sdk", "qr", "react"] },
  state: { folders: ["base", "text", "browser"], packages: ["@noble/ciphers", "react"] },
  components: { folders: ["base", "text", "browser", "state"], packages: ["react", "react-dom", "qr"] },
  "screens/account": screen,
  "screens/chat": { ...screen, packages: ["react", "virtua"] },
  "screens/list": { ...screen, packages: ["react", "virtua"] },
  "screens/room": screen,
  "screens/settings": screen,
  "screens/start": { ...screen, folders: ["text", "browser", "state", "components"] },
  ".": {
    folders: [
      "styles",
      "base",
      "text",
      "browser",
      "state",
      "components",
      "screens/account",
      "screens/chat",
      "screens/list",
      "screens/room",
      "screens/settings",
      "screens/start",
    ],
    packages: ["react", "react-dom"],
  },
};

test("each folder of the app imports only folders below it and its own packages", () => {
  expect(violations(new URL("../src/", import.meta.url).pathname, layers)).toEqual([]);
});
