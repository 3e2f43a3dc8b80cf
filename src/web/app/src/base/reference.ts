/* How messages refer to each other: by author and id, because an id is unique only for its author. */
import type { Message, Reference } from "./sdk.js";

/** The reference to a message; undefined for one without an author, which cannot be answered. */
export const referenceTo = ({ from, id }: Message): Reference | undefined => from && { author: from.userId, id };

/** A reference as the key of a map. */
export const keyOfReference = ({ author, id }: Reference): string => `${author}/${id}`;

/** The key of a message, as of a reference to it. */
export const keyOfMessage = (message: Message): string | undefined => {
  const reference = referenceTo(message);
  return reference && keyOfReference(reference);
};
