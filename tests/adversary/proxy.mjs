// Stands between unmodified clients and the real server. Each client has its own address, http://127.0.0.1:PORT/c/NAME, and so its own lane. A lane without
// rules passes all bytes unchanged.
import { Agent, createServer, request as send } from "node:http";
import { WebSocket, WebSocketServer } from "./packages.mjs";
import { completion, failure, invocation, join, kinds, split } from "./frames.mjs";
import { Lane } from "./lane.mjs";

export class Proxy {
  constructor(target) {
    this.target = target;
    this.lanes = new Map();
    this.agent = new Agent({ keepAlive: true });
    this.http = createServer((incoming, outgoing) => {
      this.pass(incoming, outgoing).catch((error) => {
        if (!outgoing.headersSent) outgoing.writeHead(502);
        outgoing.end(String(error.message));
      });
    });
    this.sockets = new WebSocketServer({ noServer: true });
    this.http.on("upgrade", (incoming, socket, head) => {
      const { lane, path } = this.find(incoming.url);
      if (!lane) return socket.destroy();
      this.sockets.handleUpgrade(incoming, socket, head, (client) => this.bridge(lane, client, path));
    });
  }

  start(port) {
    return new Promise((resolve, reject) => {
      this.http.once("error", reject).listen(port, "127.0.0.1", () => {
        this.port = port;
        resolve();
      });
    });
  }

  stop() {
    for (const lane of this.lanes.values()) for (const socket of lane.sockets) socket.terminate();
    this.http.close();
    this.http.closeAllConnections();
    this.agent.destroy();
  }

  lane(name) {
    if (!this.lanes.has(name)) this.lanes.set(name, new Lane(name, this));
    return this.lanes.get(name);
  }

  urlOf(name) {
    this.lane(name);
    return `http://127.0.0.1:${this.port}/c/${name}`;
  }

  find(url) {
    const [, name, path] = /^\/c\/([^/]+)\/(.*)$/.exec(url) ?? [];
    return { lane: this.lanes.get(name), path };
  }

  async pass(incoming, outgoing) {
    const { lane, path } = this.find(incoming.url);
    if (!lane) throw new Error("no such client");
    const raw = await contentsOf(incoming);
    if (incoming.headers.authorization) lane.token = incoming.headers.authorization;
    const request = { method: incoming.method, path, body: asJson(raw), token: incoming.headers.authorization };
    for (const rule of [...lane.requests]) {
      const answer = await rule(request);
      if (!answer) continue;
      outgoing.writeHead(answer.status ?? 200, { "content-type": "application/json" });
      return outgoing.end(answer.body === undefined ? "" : JSON.stringify(answer.body));
    }
    const response = await this.forward(incoming, request, raw);
    let { body } = response;
    const shown = { status: response.status, body: asJson(body) };
    for (const rule of [...lane.responses]) {
      const changed = await rule(request, shown);
      if (changed === undefined) continue;
      shown.body = changed;
      body = Buffer.from(JSON.stringify(changed));
      break;
    }
    const headers = { ...response.headers };
    for (const name of ["content-length", "transfer-encoding", "connection", "etag"]) delete headers[name];
    outgoing.writeHead(shown.status, headers);
    return outgoing.end(body);
  }

  forward(incoming, request, raw) {
    const body = request.body === undefined ? raw : Buffer.from(JSON.stringify(request.body));
    const { connection: _, host: __, "content-length": ___, "transfer-encoding": ____, ...headers } = incoming.headers;
    if (request.token) headers.authorization = request.token;
    if (body.length > 0) headers["content-length"] = String(body.length);
    return new Promise((resolve, reject) => {
      const outgoing = send(`${this.target}/${request.path}`, { method: request.method, headers, agent: this.agent }, (response) => {
        contentsOf(response).then((content) => resolve({ status: response.statusCode, headers: response.headers, body: content }), reject);
      });
      outgoing.once("error", reject);
      outgoing.end(body);
    });
  }

  bridge(lane, client, path) {
    const server = new WebSocket(`${this.target.replace("http", "ws")}/${path}`);
    const waiting = [];
    const calls = new Map();
    lane.sockets.add(client);
    const toServer = (data, binary) => (server.readyState === WebSocket.OPEN ? server.send(data, { binary }) : waiting.push([data, binary]));
    server.on("open", () => waiting.splice(0).forEach(([data, binary]) => server.send(data, { binary })));
    // Rules may be asynchronous, so each direction has a queue that keeps the order.
    const inOrder = (work) => {
      let last = Promise.resolve();
      return (...args) => (last = last.then(() => work(...args)).catch(() => client.terminate()));
    };
    client.on(
      "message",
      inOrder(async (data) => {
        const binary = Buffer.isBuffer(data);
        const parts = binary ? split(data) : undefined;
        if (!parts) return toServer(data, binary);
        for (const { message, bytes } of parts) {
          if (message[0] !== kinds.invocation || message[2] === null) {
            toServer(bytes, true);
            continue;
          }
          const call = { target: message[3], args: message[4] };
          let answer;
          for (const rule of [...lane.invocations]) if ((answer ??= await rule(call))) break;
          if (answer) client.send(answer.error ? failure(message[2], answer.error) : completion(message[2], answer.result));
          else {
            calls.set(message[2], call);
            toServer(lane.invocations.length > 0 ? join(message) : bytes, true);
          }
        }
      }),
    );
    server.on(
      "message",
      inOrder(async (data) => {
        const binary = Buffer.isBuffer(data);
        const parts = binary ? split(data) : undefined;
        if (!parts) return client.send(data, { binary });
        for (const { message, bytes } of parts) {
          const passed = await this.answer(lane, calls, message, bytes);
          if (passed && client.readyState === WebSocket.OPEN) client.send(passed, { binary: true });
        }
      }),
    );
    const end = () => {
      lane.sockets.delete(client);
      client.close();
      server.close();
    };
    client.on("close", end).on("error", end);
    server.on("close", end).on("error", end);
  }

  async answer(lane, calls, message, bytes) {
    if (message[0] === kinds.completion && message[3] === 3) {
      const call = calls.get(message[2]);
      calls.delete(message[2]);
      for (const rule of call ? [...lane.results] : []) {
        const changed = await rule(call, message[4]);
        if (changed !== undefined) return completion(message[2], changed);
      }
    } else if (message[0] === kinds.invocation && message[2] === null) {
      for (const rule of [...lane.pushes]) {
        const changed = await rule({ target: message[3], args: message[4] });
        if (changed === null) return undefined;
        if (changed !== undefined) return invocation(message[3], changed);
      }
    }
    return bytes;
  }
}

async function contentsOf(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function asJson(bytes) {
  if (bytes.length === 0) return undefined;
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}
