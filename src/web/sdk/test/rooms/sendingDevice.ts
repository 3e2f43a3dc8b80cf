/* A device that sends into one room, without a log and without MLS: what the outbox and the dispatcher do. */
import { newId, randomBytes } from "../../src/base/bytes.js";
import type { Warning } from "../../src/base/warnings.js";
import { decodeMessage, type MessageContent } from "../../src/content/message.js";
import type { LogPage, SendAck } from "../../src/net/wire.js";
import type { RoomCore } from "../../src/rooms/core.js";
import { Dispatcher } from "../../src/rooms/dispatcher.js";
import { Draft } from "../../src/rooms/draft.js";
import { Outbox } from "../../src/rooms/outbox.js";
import type { NewSend, Ports, RoomGroup } from "../../src/rooms/ports.js";
import { ReadLog } from "../../src/rooms/readLog.js";
import type { RoomState } from "../../src/rooms/records.js";
import { MemoryStore } from "../../src/store/store.js";

export const roomId = newId();
export const text = (value: string) => ({ type: "text", text: value }) as const;

/** One device that sends, and a server that accepts everything. Encryption changes nothing, so that a test can read what is sent. */
export class Sending {
  readonly batches: NewSend[][] = [];
  readonly retracted: number[] = [];
  readonly warnings: Warning[] = [];
  /** What the server answers to a retraction. */
  onRetract: (seq: number) => unknown = () => undefined;
  gone = new Set<number>();
  isHeld = false;
  /** How many messages the device has encrypted in its epoch. */
  encrypted = 0;
  /** How often the dispatcher has asked for another epoch. */
  asked = 0;
  state = { id: roomId, generation: 0, high: 0 } as RoomState;
  now = Date.UTC(2026, 0, 1);
  seq = 0;
  readonly closing = new AbortController();
  readonly ports: Ports;
  readonly outbox: Outbox;
  readonly dispatcher: Dispatcher;
  readonly core: RoomCore;

  constructor(readonly store = new MemoryStore()) {
    const group = { epoch: 1, generation: 0, epochs: [1], leaves: () => [], encodeRatchet: () => new Uint8Array(1) } as unknown as RoomGroup;
    Object.defineProperty(group, "encrypted", { get: () => this.encrypted });
    Object.assign(group, { encrypt: async (message: Uint8Array) => ({ group, message, n: this.encrypted++ }) });
    this.ports = {
      store,
      clock: { now: () => this.now, ticks: () => this.now, random: () => 0, pause: () => new Promise((resolve) => setImmediate(resolve)) },
      device: { userId: newId(), id: newId(), identity: {}, signature: { publicKey: randomBytes(32) } },
      people: { listOf: () => undefined },
      privacy: { settings: { readReceipts: true, typing: true } },
      reports: {
        warn: (warning: Warning) => this.warnings.push(warning),
        failed: (area: Warning["area"], kind: string) => (error: unknown) => this.warnings.push({ area, kind, retrying: false, detail: String(error) }),
      },
      closing: this.closing.signal,
      hub: {
        sendBatch: async (sends: NewSend[]) => {
          this.batches.push(sends);
          return sends.map(({ clientMessageId }) => ({ ack: { roomId, clientMessageId, seq: ++this.seq, createdAt: new Date(this.now), duplicate: false } }));
        },
        retract: async (_: string, seq: number): Promise<SendAck> => {
          this.retracted.push(seq);
          const answer = this.onRetract(seq);
          if (answer instanceof Error) throw answer;
          return {} as SendAck;
        },
        sync: async (_: string, after: number): Promise<LogPage> => {
          const seq = after + 1;
          return { roomId, headSeq: 99, firstSeq: 1, entries: [{ seq, kind: this.gone.has(seq) ? "gone" : "message", createdAt: new Date(0), epoch: 0 }] };
        },
      },
    } as unknown as Ports;
    this.outbox = new Outbox(this.ports);
    const readLog = new ReadLog(store, roomId);
    const isHeld = () => this.isHeld;
    const state = () => this.state;
    this.core = {
      id: roomId,
      isReady: true,
      canBeRead: true,
      readLog,
      get isHeld() {
        return isHeld();
      },
      get state() {
        return state();
      },
      group,
      events: { emit: (name: string, cause: string) => (this.asked += name === "reconcile" && cause === "messages" ? 1 : 0) },
      catchUp: async () => undefined,
      exclusively: async (work: (draft: Draft) => Promise<boolean | void>) => {
        const draft = new Draft(store, this.state, group, undefined, undefined, undefined);
        if ((await work(draft)) === false) return;
        await store.write(draft.changes);
        for (const tell of draft.after) tell();
      },
    } as unknown as RoomCore;
    this.dispatcher = new Dispatcher(this.ports, this.outbox, () => this.core);
  }

  get sent(): MessageContent[] {
    return this.batches.flat().map(({ ciphertext }) => {
      const decoded = decodeMessage(ciphertext!);
      if (decoded.kind !== "content") throw new Error(decoded.kind);
      return decoded.content;
    });
  }
}
