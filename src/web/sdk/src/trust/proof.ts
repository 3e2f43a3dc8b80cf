/* Section 10 of the specification: the proof that a device wrote a message, from the parts of RFC 9420 that the author signed. */
import { concat, equal, idText, utf8, type Bytes } from "../base/bytes.js";
import { decodeCredential } from "../mls/credential.js";
import { verify } from "../mls/ed25519.js";
import { decode, fixed, Reader, uint16, uint32, vector } from "./codec.js";
import { deviceOf, isApproved, type Device } from "./device.js";
import { attempt, FormatError, refused, type Refused, type RuleName } from "./rules.js";

export interface AuthorProof {
  /** The encoded FramedContentTBS (RFC 9420 section 6.1). */
  tbs: Bytes;
  /** The author's signature over it: 64 bytes. */
  signature: Bytes;
  /** The author's encoded LeafNode (section 7.2). */
  leaf: Bytes;
}

/** The proof of a message, from what the MLS library has after decryption. */
export const encodeProof = (of: AuthorProof): Bytes => concat(uint16(1), vector(of.tbs), fixed(of.signature, 64), vector(of.leaf));

/** Throws `FormatError`: `length` or `version`. */
export function decodeProof(encoded: Uint8Array): AuthorProof {
  const { version, ...proof } = decode(encoded, (reader) => ({
    version: reader.uint16(),
    tbs: reader.vector(),
    signature: reader.signature(),
    leaf: reader.vector(),
  }));
  if (version !== 1) throw new FormatError("version");
  return proof;
}

/** The padded content that the proof is about. Throws `FormatError`. */
export const provenData = (encoded: Uint8Array): Bytes => decodeTbs(decodeProof(encoded).tbs).data;

/**
 * Verifies that the device of the proof wrote `data`, the padded content, in the room. The caller checks that the user with this identity is in the room's
 * state or pinned, and the device with its key in a list of the user; otherwise the message is shown as *signed, author not known*.
 */
export async function verifyProof(
  encoded: Uint8Array,
  of: { room: string; data: Uint8Array },
): Promise<{ ok: true; device: Device; generation: number; epoch: number } | Refused> {
  const decoded = attempt(() => {
    const proof = decodeProof(encoded);
    return { proof, content: decodeTbs(proof.tbs), leaf: decodeLeaf(proof.leaf) };
  });
  if (!decoded.ok) return refused(decoded.rule);
  const { proof, content, leaf } = decoded.value;
  if (!(await isSigned(leaf.signatureKey, "LeafNodeTBS", leafTbs(leaf, content), leaf.signature))) return refused("signature");
  const device = deviceOf(leaf.credential, leaf.signatureKey);
  if (!(await isApproved(device))) return refused("approval");
  if (!(await isSigned(leaf.signatureKey, "FramedContentTBS", proof.tbs, proof.signature))) return refused("signature");
  const rule = ruleOfContent(content, of);
  if (rule) return refused(rule);
  return { ok: true, device, generation: new Reader(content.groupId.subarray(16)).uint32(), epoch: content.epoch };
}

/** SignWithLabel of RFC 9420 section 5.1.2. */
const isSigned = (key: Uint8Array, label: string, content: Uint8Array, signature: Uint8Array) =>
  verify(key, concat(vector(utf8(`MLS 1.0 ${label}`)), vector(content)), signature);

interface FramedContent {
  version: number;
  wireFormat: number;
  groupId: Bytes;
  epoch: number;
  senderType: number;
  leafIndex: number;
  authenticatedData: Bytes;
  contentType: number;
  data: Bytes;
  context: { version: number; suite: number; groupId: Bytes; epoch: number };
}

/** A FramedContentTBS of an application message by a member. Those of other senders and contents have another form (`length`). */
const decodeTbs = (tbs: Uint8Array): FramedContent =>
  decode(tbs, (reader) => ({
    version: reader.uint16(),
    wireFormat: reader.uint16(),
    groupId: reader.vector(),
    epoch: reader.uint64(),
    senderType: reader.uint8(),
    leafIndex: reader.uint32(),
    authenticatedData: reader.vector(),
    contentType: reader.uint8(),
    data: reader.vector(),
    context: readContext(reader),
  }));

function readContext(reader: Reader): FramedContent["context"] {
  const context = { version: reader.uint16(), suite: reader.uint16(), groupId: reader.vector(), epoch: reader.uint64() };
  reader.vector(); // The tree hash.
  reader.vector(); // The confirmed transcript hash.
  reader.list(readExtension);
  return context;
}

const readExtension = (reader: Reader) => ({ type: reader.uint16(), data: reader.vector() });

const mls10 = 1;
const privateMessage = 2;
const suite = 1;
const member = 1;
const application = 1;

function ruleOfContent(of: FramedContent, expected: { room: string; data: Uint8Array }): RuleName | undefined {
  const { context } = of;
  if (of.version !== mls10 || of.wireFormat !== privateMessage || context.version !== mls10 || context.suite !== suite) return "version";
  if (of.senderType !== member) return "author";
  if (of.contentType !== application || of.authenticatedData.length > 0) return "data";
  const isRoom = of.groupId.length === 20 && idText(of.groupId.subarray(0, 16)) === expected.room;
  if (!isRoom || !equal(of.groupId, context.groupId) || of.epoch !== context.epoch) return "group";
  return equal(of.data, expected.data) ? undefined : "data";
}

interface LeafNode {
  signatureKey: Bytes;
  credential: NonNullable<ReturnType<typeof decodeCredential>>;
  source: number;
  /** The encoded fields before the signature. */
  content: Bytes;
  signature: Bytes;
}

const sources = { keyPackage: 1, update: 2, commit: 3 } as const;

const decodeLeaf = (leaf: Uint8Array): LeafNode =>
  decode(leaf, (reader) => {
    reader.vector(); // The encryption key.
    const signatureKey = reader.vector();
    const type = reader.uint16();
    const credential = decodeCredential(reader.vector());
    if (type !== 1 || !credential || signatureKey.length !== 32) throw new FormatError("length");
    for (let capability = 0; capability < 5; capability++) reader.list((each) => each.uint16());
    const source = reader.uint8();
    if (source === sources.keyPackage) reader.take(16); // The lifetime. Its end can be above 2^53 - 1.
    else if (source === sources.commit) reader.vector(); // The parent hash.
    else if (source !== sources.update) throw new FormatError("length");
    reader.list(readExtension);
    const content = reader.before();
    return { signatureKey, credential, source, content, signature: reader.vector() };
  });

/** LeafNodeTBS: a leaf that is not from a KeyPackage is signed for its group and place. */
const leafTbs = (leaf: LeafNode, { groupId, leafIndex }: FramedContent): Bytes =>
  leaf.source === sources.keyPackage ? leaf.content : concat(leaf.content, vector(groupId), uint32(leafIndex));
