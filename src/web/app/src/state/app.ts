import type { Conversation, SharedClient, SharedStatus } from "../base/sdk.js";
import { Cell, coalesce } from "../base/cell.js";
import { sentenceOfWarning } from "../text/errors.js";
import { OwnDevices } from "./ownDevices.js";
import { People } from "./people.js";
import { watchPush } from "./push.js";
import { RoomStore } from "./room.js";
import { Toasts } from "./toasts.js";
import { Unsent } from "./unsent.js";

/** A member who is typing, and until when to show it. */
export interface Typist {
  userId: string;
  username: string;
  until: number;
}

const typingLastsMs = 5_000;
const roomsKept = 8;

/** The state that all screens of an account share. */
export class AppState {
  readonly status: Cell<SharedStatus>;
  /** Undefined until they are read. */
  readonly conversations = new Cell<readonly Conversation[] | undefined>(undefined);
  readonly typing = new Cell<Readonly<Record<string, readonly Typist[]>>>({});
  /** Usernames by user id, as far as this tab knows them. */
  readonly names = new Cell<ReadonlyMap<string, string>>(new Map());
  /** Users whose identity key has changed while this tab was open. */
  readonly changedPeople = new Cell<readonly string[]>([]);
  readonly people: People;
  readonly ownDevices: OwnDevices;
  readonly toasts = new Toasts();
  readonly unsent: Unsent;

  private readonly rooms = new Map<string, RoomStore>();
  private readonly membersAsked = new Set<string>();

  private readonly offs: (() => void)[] = [];

  /** @param store - The name of the account's store. */
  constructor(
    readonly client: SharedClient,
    readonly store: string,
  ) {
    this.status = new Cell(client.status);
    this.unsent = new Unsent(client, store);
    this.people = new People(client);
    this.ownDevices = new OwnDevices(client, store);
    this.offs.push(watchPush(client));
    client.on("status", (status) => {
      const before = this.status.get();
      this.status.set(status);
      if (status.state !== "ready" || status.userId !== before.userId) this.forget();
      if (status.state === "ready" && before.state !== "ready") this.readAll();
      if (status.state === "ready" && (before.state !== "ready" || (status.leader && !before.leader))) this.unsent.recover();
    });
    client.on("conversations", () => void this.refresh());
    client.on("roomChanged", ({ roomId }) => {
      void this.rooms.get(roomId)?.refresh();
      void this.refresh();
    });
    client.on("typing", (event) => this.onTyping(event.roomId, event.userId, event.username));
    client.on("typingEnded", ({ roomId, userId }) => this.stopTyping(roomId, userId));
    client.on("identityChanged", ({ username }) => this.changedPeople.set([...this.changedPeople.get().filter((other) => other !== username), username]));
    client.on("warning", (warning) => {
      const { area, kind, roomId, error, detail, retrying } = warning;
      console.warn(`${area}: ${kind}`, roomId ?? "", error?.message ?? "", detail ?? "", retrying ? "(trying again)" : "");
      const text = sentenceOfWarning(warning);
      if (text !== undefined) this.toasts.show(text, { tone: "bad" });
    });
    if (client.status.state === "ready") {
      this.unsent.recover();
      this.readAll();
    }
  }

  /** Closes the state when this tab shows another account. */
  async close(): Promise<void> {
    for (const off of this.offs) off();
    await this.client.close();
  }

  /** Reads the list again. */
  readonly refresh = coalesce(async () => {
    const conversations = await this.client.conversations();
    this.conversations.set(conversations);
    for (const { id, kind, last } of conversations)
      if (kind === "group" && last?.from && !this.names.get().has(last.from.userId) && !this.membersAsked.has(id)) {
        this.membersAsked.add(id);
        this.learnMembers(id).catch((error: unknown) => console.warn("The names of a group's members could not be read:", error));
      }
  }, 80);

  /** The state of a room. Only the last used rooms are kept. */
  room(roomId: string): RoomStore {
    const room = this.rooms.get(roomId) ?? new RoomStore(this.client, this.unsent, roomId);
    this.rooms.delete(roomId);
    this.rooms.set(roomId, room);
    for (const id of this.rooms.keys()) {
      if (this.rooms.size <= roomsKept) break;
      this.rooms.delete(id);
    }
    return room;
  }

  /** Reads the members of a room and stores their names. */
  async learnMembers(roomId: string) {
    const members = await this.client.members(roomId);
    const names = new Map(this.names.get());
    for (const { userId, username } of members) if (username !== "") names.set(userId, username);
    if (members.some(({ userId }) => names.get(userId) !== this.names.get().get(userId))) this.names.set(names);
    if (members.some(({ userId }) => userId !== this.status.get().userId && !this.people.all.get().has(userId))) void this.people.refresh();
    return members;
  }

  private onTyping(roomId: string, userId: string, username: string): void {
    const now = Date.now();
    const others = (this.typing.get()[roomId] ?? []).filter((typist) => typist.userId !== userId && typist.until > now);
    this.typing.set({ ...this.typing.get(), [roomId]: [...others, { userId, username, until: now + typingLastsMs }] });
    setTimeout(() => {
      const left = (this.typing.get()[roomId] ?? []).filter((typist) => typist.until > Date.now());
      if (left.length !== this.typing.get()[roomId]?.length) this.typing.set({ ...this.typing.get(), [roomId]: left });
    }, typingLastsMs + 50);
  }

  private stopTyping(roomId: string, userId: string): void {
    const typists = this.typing.get()[roomId];
    if (typists?.some((typist) => typist.userId === userId))
      this.typing.set({ ...this.typing.get(), [roomId]: typists.filter((typist) => typist.userId !== userId) });
  }

  private readAll(): void {
    void this.refresh();
    void this.people.refresh();
    void this.ownDevices.refresh();
  }

  private forget(): void {
    this.people.forget();
    this.rooms.clear();
    this.membersAsked.clear();
    this.conversations.set(undefined);
    this.names.set(new Map());
    this.changedPeople.set([]);
  }
}
