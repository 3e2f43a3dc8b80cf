// What an attack uses: people, rooms, waiting, and the judgement of what it saw.
import { createHash, randomInt } from "node:crypto";
import { lineOf, signOf } from "./signs.mjs";

/** The texts of a run follow from it. Keys and ids do not. */
export const seed = process.env.SECUREMESSAGING_TEST_SEED ?? String(randomInt(1_000_000));

/**
 * The rows of a group of attacks as plans. `demand`: the verdict that a row must reach at least.
 * @param {string} group
 * `control`: what the attack must reach with its rule switched off: `harm`, which clients do not let happen with the rule; or `silence`, because clients can
 * only show what happened.
 * @param {[name: string, rule: string, demand: string, engines: string[], what: string, run: (attack: Attack) => Promise<{ verdict: string, detail: string }>,
 * control?: "harm" | "silence"][]} rows
 */
export const plansOf = (group, rows) =>
  rows.map(([name, rule, demand, engines, what, run, control]) => ({ group, name, rule, demand, engines, what, run, control }));

export class Attack {
  constructor(world, group, plan, off) {
    Object.assign(this, { world, group, plan, off, marks: new Map(), heldBefore: new Map(), welcomes: [], texts: 0, ownClients: [], ownRules: [] });
  }

  /** Anna, Ben and Cleo, whom the attacks of one group share. Each attack has its own rooms. */
  async cast() {
    const casts = (this.world.casts ??= new Map());
    const key = `${this.group}/${this.off ?? ""}`;
    if (!casts.has(key))
      casts.set(
        key,
        Promise.all(["anna", "ben", "cleo"].map((name) => this.world.person(name, { off: this.off }))).then(([anna, ben, cleo]) => ({ anna, ben, cleo })),
      );
    const cast = await casts.get(key);
    this.watch(...Object.values(cast));
    await this.knowHolds(...Object.values(cast));
    return cast;
  }

  /** A person of this attack alone. Honest unless it has a program of its own. */
  async person(name, options = {}) {
    const client = await this.world.person(name, { ...(options.program ? {} : { off: this.off }), ...options });
    this.ownClients.push(client);
    this.watch(client);
    return client;
  }

  member = (name = "mallory") => this.person(name, { program: "member.mjs" });

  async device(name, options = {}) {
    const client = await this.world.device(name, { ...(options.program ? {} : { off: this.off }), ...options });
    this.ownClients.push(client);
    this.watch(client);
    return client;
  }

  async secondDevice(first, options = {}) {
    const client = await this.world.secondDevice(first, { off: this.off, ...options });
    this.ownClients.push(client);
    this.watch(client);
    return client;
  }

  /** A room that is ready on all these clients. What they have shown until then does not count. */
  async room(clients) {
    const room = await this.world.room(clients);
    this.watch(...this.marks.keys());
    return room;
  }

  async direct(a, b) {
    const room = await this.world.direct(a, b);
    this.watch(...this.marks.keys());
    return room;
  }

  /** What is shown from now on counts. */
  watch(...clients) {
    for (const client of clients) this.marks.set(client, client.mark());
  }

  /** Holds of earlier attacks on the same people are no sign of this one. */
  async knowHolds(...clients) {
    for (const client of clients) this.heldBefore.set(client, await client.call("holds").catch(() => []));
  }

  /** Collects the Welcomes that these clients send: the server has them, whether or not the new device's client would accept them. */
  tap(...clients) {
    for (const { lane } of clients)
      lane.onRequest(({ method, path, body }) => {
        if (method === "POST" && path.endsWith("/commits")) this.welcomes.push(...(body.welcomes ?? []));
      });
  }

  /** Whether a spy has entered the room's group, with its client or with a Welcome that the clients have sent. */
  async isIn(spy, room, timeoutMs = 5000) {
    return spy.until(async () => {
      if ((await spy.status(room).catch(() => ({}))).ready) return true;
      if (!this.joined && this.welcomes.length > 0) this.joined = await spy.call("joinStolen", { room, welcomes: this.welcomes }).catch(() => undefined);
      return this.joined;
    }, timeoutMs);
  }

  /** Whether the spy reads this text, with its client or with the keys from a Welcome. */
  async spyReads(spy, room, text, as, timeoutMs = 6000) {
    return spy.until(async () => {
      if (await spy.find(room, text).catch(() => undefined)) return true;
      if (!this.joined) return false;
      return (await spy.call("read", { room, entries: await this.world.log(as, room) })).includes(text);
    }, timeoutMs);
  }

  /** A text that no other message has. */
  text = (what) =>
    `${what} ${createHash("sha256")
      .update(`${seed} ${this.plan.name} ${this.world.engine} ${this.off} ${this.texts++}`)
      .digest("hex")
      .slice(0, 8)}`;

  /** The warnings and holds that these clients have shown, and with `lines` also the lines of the conversation. */
  async signs(room, clients, { lines = false, only } = {}) {
    const found = new Set();
    for (const client of clients) {
      for (const note of client.shownSince(this.marks.get(client) ?? 0, room)) {
        const sign = signOf(note) ?? (lines ? lineOf(note) : undefined);
        if (sign && (!only || only.includes(sign))) found.add(`${client.name}: ${sign}`);
      }
      if (only) continue;
      const { holds = [] } = room ? await client.status(room).catch(() => ({})) : {};
      for (const { kind } of holds) found.add(`${client.name}: holds sends for ${kind}`);
      for (const { userId, kind } of await client.call("holds").catch(() => [])) {
        const isOld = this.heldBefore.get(client)?.some((each) => each.userId === userId && each.kind === kind);
        if (!isOld) found.add(`${client.name}: holds sends for ${kind}`);
      }
    }
    return [...found];
  }

  /** Waits a moment for a sign that comes after the fact. */
  async signsWithin(ms, room, clients, options) {
    const end = Date.now() + ms;
    for (;;) {
      const found = await this.signs(room, clients, options);
      if (found.length > 0 || Date.now() > end) return found;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  /** Whether two clients can write to each other. The time is that of a busy machine. */
  async goesOn(room, a, b, timeoutMs = 40_000) {
    const isFree = (client) => client.until(async () => (await client.status(room).catch(() => ({}))).holds?.length === 0, 10_000);
    if (!(await isFree(a)) || !(await isFree(b))) return false;
    const [there, back] = [this.text("there"), this.text("back")];
    await Promise.all([a.call("send", { room, text: there, wait: false }), b.call("send", { room, text: back, wait: false })]).catch(() => undefined);
    const [one, other] = await Promise.all([b.reads(room, there, timeoutMs), a.reads(room, back, timeoutMs)]);
    return Boolean(one && other);
  }

  /**
   * The verdict of what was seen.
   * - `harm`: what was read, forged, changed or lost; undefined when nothing was.
   * - `signs`: what honest clients showed about it.
   * - `goesOn`: whether the honest clients still write to each other.
   * - `allowed`: the sentence of the specification ("What this cannot do") under which the harm is allowed.
   */
  judge({ harm, signs = [], goesOn = true, allowed, detail = "" }) {
    const seen = signs.length > 0 ? `; shown: ${signs.join(", ")}` : "";
    const more = detail ? `; ${detail}` : "";
    const isHarmed = harm !== undefined || !goesOn;
    const as = (verdict, what) => ({ verdict, isHarmed, detail: `${what}${more}` });
    if (!isHarmed) return as("refused", `nothing read or forged${seen}`);
    const what = harm ?? "the room stands still";
    if (signs.length > 0) return as("warned", `${what}${seen}`);
    if (allowed) return as("allowed", `${what}; ${allowed}`);
    return as("undetected", what);
  }

  async end() {
    for (const rule of this.ownRules) rule();
    for (const client of this.marks.keys()) client.lane.clear();
    await this.world.close(...this.ownClients);
  }
}
