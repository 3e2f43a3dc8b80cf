import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { build, toWire } from "./connection.js";

/** A connection that sends one envelope after the other. The content of an envelope is its id, so that readers can check it. */
export class Writer {
  /** The acknowledged sends: their ids by seq. */
  acknowledged = new Map();
  errors = [];
  #stopped = false;

  static async start(place, roomId) {
    const connection = build(place);
    await connection.start();
    return Object.assign(new Writer(), { connection, place, roomId });
  }

  stop() {
    this.#stopped = true;
  }

  async run() {
    try {
      while (!this.#stopped) {
        const clientMessageId = randomUUID();
        const ciphertext = toWire(clientMessageId, this.place);
        const ack = await this.connection.invoke("Send", { roomId: this.roomId, clientMessageId, ciphertext });
        this.acknowledged.set(ack.seq, clientMessageId);
        await delay(2);
      }
    } catch (error) {
      this.errors.push(error.message);
    }
  }
}
