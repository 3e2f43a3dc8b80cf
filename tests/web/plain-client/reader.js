import { build, fromWire } from "./connection.js";

/** One connection that only listens. */
export class Reader {
  entries = [];
  resyncs = 0;
  closes = 0;

  /** Resolves when the server has said where the room's log stands: from there on every entry must come. */
  static async start(place, roomId) {
    const connection = build(place);
    const reader = new Reader();
    connection.on("Received", (id, entries) => {
      if (id === roomId) reader.entries.push(...entries.map(entry => ({ ...entry, text: fromWire(entry.ciphertext ?? "", place) })));
    });
    connection.on("Resync", () => reader.resyncs++);
    connection.onclose(() => reader.closes++);
    await connection.start();
    const heads = await connection.invoke("Heads");
    reader.head = heads.find(room => room.roomId === roomId).headSeq;
    return reader;
  }

  /** Counts what is wrong with the entries, in the order in which they came. By seq, acknowledged holds the id of what the senders were told is stored. */
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
    const missing = [...acknowledged.keys()].filter(seq => !seen.has(seq)).length;
    return { entries: this.entries.length, missing, gaps, repeats, disordered, altered, resyncs: this.resyncs, closes: this.closes };
  }
}
