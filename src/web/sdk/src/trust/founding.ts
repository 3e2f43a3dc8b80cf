/* Section 2 of the specification: the founding of a room. The room's id is a part of its hash, so it cannot change. */
import { concat, equal, idText, utf8, type Bytes } from "../base/bytes.js";
import { decode, fixed, hash, id, uint16, uint8, vector } from "./codec.js";
import { FormatError } from "./rules.js";

/** What never changes in a room. */
export interface Founding {
  kind: "group" | "direct";
  /** The user who makes the first statement. */
  founder: string;
  /** The identity key of the founder. */
  identity: Bytes;
  /** 16 random bytes. */
  nonce: Bytes;
  /** The second user of a direct room. */
  other?: string;
}

const scheme = "mls10";

/** Throws `RangeError` for a key or nonce of another length, and `TypeError` unless exactly a direct room has `other`, who is not the founder. */
export function encodeFounding(founding: Founding): Bytes {
  const { kind, founder, identity, nonce, other } = founding;
  if ((other !== undefined) !== (kind === "direct") || other === founder) throw new TypeError("A direct room has two users.");
  return concat(
    uint16(1),
    vector(utf8(scheme)),
    uint8(kind === "group" ? 1 : 2),
    id(founder),
    fixed(identity, 32),
    fixed(nonce, 16),
    other === undefined ? new Uint8Array() : id(other),
  );
}

/** Throws `FormatError`: `length`, `version`, `scheme`, `kind` or `other`. */
export function decodeFounding(bytes: Uint8Array): Founding {
  return decode(bytes, (reader) => {
    const version = reader.uint16();
    const name = reader.vector();
    const kind = reader.uint8();
    const known = kind === 1 || kind === 2;
    const founding: Founding = { kind: kind === 2 ? "direct" : "group", founder: reader.id(), identity: reader.key(), nonce: reader.take(16) };
    if (kind === 2) founding.other = reader.id();
    if (known) reader.end();
    if (version !== 1) throw new FormatError("version");
    if (!equal(name, utf8(scheme))) throw new FormatError("scheme");
    if (!known) throw new FormatError("kind");
    if (founding.other === founding.founder) throw new FormatError("other");
    return founding;
  });
}

/** The hash of an encoded founding: 32 bytes. A client keeps and compares all of them, because the id has only 122 bits. */
export const foundingHash = (encoded: Uint8Array): Promise<Bytes> => hash("Founding", encoded);

/** The id of the room with this hash of its founding. */
export function roomIdOf(hashOfFounding: Uint8Array): string {
  const value = fixed(hashOfFounding, 32).slice(0, 16);
  value[6] = (value[6]! & 0x0f) | 0x40;
  value[8] = (value[8]! & 0x3f) | 0x80;
  return idText(value);
}
