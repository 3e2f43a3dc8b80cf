import { build, fromWire } from "./connection.js";

/** A connection that only receives. */
export class Reader {
  entries = [];
  resyncs = 0;
  closes = 0;

  /** Resolves when the server has sent the head of the room's log. Every later entry must arrive. */
  static async start(place, roomId) {
    const connection = build(place);
    const reader = new Reader();
    connection.on("Received", (id, entries) => {
      if (id === roomId) reader.entries.push(...entries.map((entry) => ({ ...entry, text: fromWire(entry.ciphertext ?? "", place) })));
    });
    connection.on("Resync", () => reader.resyncs++);
    connection.onclose(() => reader.closes++);
    await connection.start();
    const heads = await connection.invoke("Heads");
    reader.head = heads.find((room) => room.roomId === roomId).headSeq;
    return reader;
  }

  /** Counts the defects of the received entries. `acknowledged` has the ids of the acknowledged sends by seq. */
  compare(acknowledged) {
    const seen = new Set();
    let [gaps, repeats, disordered, altered] = [0, 0, 0, 0];
    let last = this.head;
    for (const { seq, id, text } of this.entries) {
      if (seen.has(seq)) repeats++;
      else if (seq < last) disordered++;
      else if (seq > last + 1) gaps++;
      if (acknowledged.get(seq) !== id || text !== id) altered++;
      seen.add(seq);
      last = Math.max(last, seq);
    }
    const missing = [...acknowledged.keys()].filter((seq) => !seen.has(seq)).length;
    return { entries: this.entries.length, missing, gaps, repeats, disordered, altered, resyncs: this.resyncs, closes: this.closes };
  }
}
