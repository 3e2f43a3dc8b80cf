// What the hostile server does to one client: rules over its requests, calls and pushes, and its bearer token, with which the server can act for its user.
import { randomUUID } from "node:crypto";
import { invocation } from "./frames.mjs";

/** The answers of one client. Each list has functions, the newest first; the first that returns something else than undefined decides. */
export class Lane {
  constructor(name, proxy) {
    Object.assign(this, { name, proxy, token: undefined, sockets: new Set(), calls: 0 });
    this.clear();
  }

  /** Passes everything through again. */
  clear() {
    /** (request) => {status, body} answers without the server. `request` is {method, path, body, token}; its path and body may be changed. */
    this.requests = [];
    /** (request, response) => a new body of the response, which is {status, body}. */
    this.responses = [];
    /** ({target, args}) => {result} or {error} answers a hub call without the server. The args may be changed. */
    this.invocations = [];
    /** ({target, args}, result) => a new result of a hub call. */
    this.results = [];
    /** ({target, args}) => new args, or null to drop the push. */
    this.pushes = [];
  }

  onRequest = (rule) => this.add(this.requests, rule);
  onResponse = (rule) => this.add(this.responses, rule);
  onCall = (rule) => this.add(this.invocations, rule);
  onResult = (rule) => this.add(this.results, rule);
  onPush = (rule) => this.add(this.pushes, rule);

  /** @returns A function that takes the rule away. */
  add(list, rule) {
    list.unshift(rule);
    return () => {
      const at = list.indexOf(rule);
      if (at >= 0) list.splice(at, 1);
    };
  }

  /** Changes each entry of a room before the client sees it, in pages and pushes. `change(entry)` returns the entry to show. */
  onEntries(room, change) {
    const offs = [
      this.onResult(({ target }, result) => {
        if (target !== "Sync" || result?.roomId !== room) return undefined;
        return { ...result, entries: result.entries.map(change) };
      }),
      this.onPush(({ target, args }) => {
        if (target !== "Received" || args[0] !== room) return undefined;
        return [room, args[1].map(change)];
      }),
    ];
    return () => offs.forEach((off) => off());
  }

  /** The client hears nothing of a room any more: no pushes, and a log that ends where it ends now. */
  silence(room, headSeq) {
    const offs = [
      this.onPush(({ target, args }) => (["Received", "Resync", "RoomChanged"].includes(target) && args[0] === room ? null : undefined)),
      this.onResult(({ target }, result) => {
        if (target === "Sync" && result?.roomId === room)
          return { ...result, headSeq: Math.min(result.headSeq, headSeq), entries: result.entries.filter(({ seq }) => seq <= headSeq) };
        if (target === "Heads") return result.map((head) => (head.roomId === room ? { ...head, headSeq: Math.min(head.headSeq, headSeq) } : head));
        return undefined;
      }),
    ];
    return () => offs.forEach((off) => off());
  }

  /** Sends a push that the server did not send. */
  push(target, ...args) {
    for (const socket of this.sockets) socket.send(invocation(target, args));
  }

  /** Makes the client read the room's log again. */
  resync(room) {
    this.push("Resync", room);
  }

  /** Calls the real server with the client's own token, as an operator can: it issues the tokens. */
  async act(method, path, body) {
    const response = await fetch(`${this.proxy.target}/${path}`, {
      method,
      headers: { authorization: this.token, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 200)}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  /** Appends a ciphertext to a room's log in the name of this client's account. */
  append(room, ciphertext, epoch) {
    return this.act("POST", `v1/rooms/${room}/messages`, {
      roomId: room,
      clientMessageId: randomUUID(),
      ciphertext: Buffer.from(ciphertext).toString("base64"),
      epoch,
    });
  }
}
