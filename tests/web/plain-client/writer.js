import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { build, toWire } from "./connection.js";

/** One connection that sends, one envelope after the other. An envelope's content is its own id, so that readers can tell whether it is intact. */
export class Writer {
  /** What the server acknowledged: the id of each send, by seq. */
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
