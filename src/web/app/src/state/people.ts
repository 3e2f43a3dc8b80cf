import type { Person, SharedClient } from "../base/sdk.js";
import { Cell, coalesce } from "../base/cell.js";

/** The mark beside a person's name. A hold takes precedence: keys that nothing is sent to are not verified. */
export const markOf = (person: Person | undefined): Person["verified"] | "held" | undefined => (person?.hold ? "held" : person?.verified);

/** The people whom this device knows, with what it knows about their keys. */
export class People {
  /** By user id. It keeps people who have left a room or deleted their account, so that their names stay. */
  readonly all = new Cell<ReadonlyMap<string, Person>>(new Map());

  constructor(private readonly client: SharedClient) {
    client.on("personChanged", () => void this.refresh());
    client.on("identityChanged", () => void this.refresh());
  }

  readonly refresh = coalesce(async () => {
    if (this.client.status.state !== "ready") return;
    const people = await this.client.people();
    this.all.set(new Map(people.map((person) => [person.userId, person])));
  }, 200);

  forget(): void {
    this.all.set(new Map());
  }
}
