/* The users whom a person names, as this device has pinned them. */
import { SecureMessagingError } from "../base/errors.js";
import type { KnownPeople } from "./ports.js";
import type { NamedUser } from "./wanted.js";

/**
 * The users with these names. Rejects before anything is created or changed: a person without a device could never read the messages.
 * @throws {@link SecureMessagingError} `NotFound`, `NoDevice`, `NameChanged`. @internal
 */
export async function resolveUsers(people: Pick<KnownPeople, "resolve" | "devicesOf">, usernames: readonly string[]): Promise<NamedUser[]> {
  const found: NamedUser[] = [];
  const without: string[] = [];
  for (let i = 0; i < usernames.length; i += 8)
    for (const user of await Promise.all(usernames.slice(i, i + 8).map((name) => resolve(people, name)))) {
      if (typeof user === "string") without.push(user);
      else found.push(user);
    }
  if (without.length > 0)
    throw SecureMessagingError.of(
      "NoDevice",
      `${without.join(", ")} ${without.length === 1 ? "has" : "have"} no device that can read messages. ` +
        "They must sign in once with an app that supports encryption.",
    );
  return found;
}

/** The name itself when the user has no device. */
async function resolve(people: Pick<KnownPeople, "resolve" | "devicesOf">, username: string): Promise<NamedUser | string> {
  try {
    const { userId, identityKey, list } = await people.resolve(username);
    return people.devicesOf(userId).length > 0 ? { userId, identityKey, list } : username;
  } catch (error) {
    if (error instanceof SecureMessagingError && error.code === "NoDevice") return username;
    if (error instanceof SecureMessagingError && error.code === "NotFound")
      throw SecureMessagingError.of("NotFound", `There is no account with the username ${JSON.stringify(username) ?? "undefined"}.`, error);
    throw error;
  }
}
