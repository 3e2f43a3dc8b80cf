// Packages of the SDK's own folder, so that this suite needs no package-lock.json of its own.
import { createRequire } from "node:module";

const require = createRequire(new URL("../../src/web/sdk/package.json", import.meta.url));
export const WebSocket = require("ws");
export const { Server: WebSocketServer } = WebSocket;
export const { decode, encode } = require("@msgpack/msgpack");
