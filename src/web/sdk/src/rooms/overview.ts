/* What a list of rooms shows of the messages of one room: the newest one, and how many are unread. */
import { keys, read, unpack } from "../store/store.js";
import { isAlive } from "./pages.js";
import type { Ports } from "./ports.js";
import { toMessage, type Message, type MessageRecord } from "./records.js";

type OverviewPorts = Pick<Ports, "store"> & { clock: Pick<Ports["clock"], "now">; device: Pick<Ports["device"], "userId"> };

/** A list shows a newest message of most rooms, and no unread one. */
const firstChunk = 10;
/** After the opening, unread messages are counted among this many of the newest ones. */
const mostCounted = 1000;

/** Follows the events of a room, so that neither value costs a read of the store. @internal */
export class Overview {
  private newest: Message | undefined;
  private readonly places = new Set<number>();
  private readUpTo = 0;
  private version = 0;

  private constructor(
    private readonly ports: OverviewPorts,
    private readonly roomId: string,
  ) {}

  static async load(ports: OverviewPorts, roomId: string): Promise<Overview> {
    const overview = new Overview(ports, roomId);
    overview.readUpTo = await readByUser(ports, roomId);
    let counted = 0;
    for await (const message of overview.fromNewest()) {
      overview.newest ??= isShown(message) ? message : undefined;
      if (isUnread(message) && message.seq > overview.readUpTo) overview.places.add(message.seq);
      if (++counted === mostCounted || (message.seq <= overview.readUpTo && overview.newest)) break;
    }
    return overview;
  }

  /** The newest message that counts. A deleted one stays the newest. */
  get last(): Message | undefined {
    return this.newest;
  }

  get unread(): number {
    return this.places.size;
  }

  arrived(message: Message): void {
    this.version++;
    if (isShown(message) && message.seq > (this.newest?.seq ?? 0)) this.newest = message;
    if (isUnread(message) && message.seq > this.readUpTo) this.places.add(message.seq);
  }

  changed(message: Message): void {
    this.version++;
    if (this.newest?.seq === message.seq) this.newest = message;
    if (!isUnread(message)) this.places.delete(message.seq);
  }

  /** This user has read up to this place, on any device. */
  read(upTo: number): void {
    this.readUpTo = Math.max(this.readUpTo, upTo);
    for (const seq of this.places) if (seq <= upTo) this.places.delete(seq);
  }

  /** Whether one of these places has the newest message. Then {@link findLast} must follow. */
  removed(seqs: readonly number[]): boolean {
    this.version++;
    for (const seq of seqs) this.places.delete(seq);
    return this.newest !== undefined && seqs.includes(this.newest.seq);
  }

  /** Reads the newest message from the store. */
  async findLast(): Promise<void> {
    for (;;) {
      const { version } = this;
      let found: Message | undefined;
      for await (const message of this.fromNewest()) {
        if (isShown(message)) found = message;
        if (found) break;
      }
      // What has happened meanwhile may concern the message that was found.
      if (version !== this.version) continue;
      this.newest = found;
      return;
    }
  }

  private async *fromNewest(): AsyncGenerator<Message, void, undefined> {
    const { store, clock } = this.ports;
    let after: string | undefined;
    for (let limit = firstChunk; ; limit = Math.min(limit * 10, mostCounted)) {
      const some = await store.list(keys.messages(this.roomId), { reverse: true, limit, ...(after === undefined ? {} : { after }) });
      for (const [, value] of some) {
        const record = unpack<MessageRecord>(value);
        if (isAlive(record, clock.now())) yield toMessage(record);
      }
      if (some.length < limit) return;
      after = some.at(-1)![0];
    }
  }
}

/** How far this user has read: the position that others may learn, or one that stays on this device. @internal */
export async function readByUser({ store, device }: Pick<OverviewPorts, "store" | "device">, roomId: string): Promise<number> {
  const shared = (await read<number>(store, keys.read(roomId, device.userId))) ?? 0;
  return Math.max(shared, (await read<number>(store, keys.mark(roomId))) ?? 0);
}

/** A place that was never read, and a message that changes nothing, are part of the history and of no list. */
const isShown = ({ content, late, notAllowed, otherIdentity }: Message): boolean => content.type !== "missing" && !late && !notAllowed && !otherIdentity;

const isUnread = (message: Message): boolean => isShown(message) && !message.mine && !message.deleted;
