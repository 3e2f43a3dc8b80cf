// Writes vectors.json into the given directory: MLS messages of ts-mls, and what ts-mls reads in them. Keys and dates are new in every run, and the time of
// the run is part of the file. The output is committed; run this again only when the pinned ts-mls changes.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { randomUUID, webcrypto } from "node:crypto";
import {
  createApplicationMessage,
  createCommit,
  createGroup,
  createProposal,
  decodeMlsMessage,
  defaultCapabilities,
  emptyPskIndex,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  processPrivateMessage,
} from "ts-mls";
import { makeKeyPackageRef } from "ts-mls/keyPackage.js";

const directory = process.argv[2];
if (!directory) throw new Error("usage: node generate.mjs DIRECTORY");

const suite = await getCiphersuiteImpl(getCiphersuiteFromName("MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"));
const now = Math.floor(Date.now() / 1000);
const lifetime = { notBefore: BigInt(now - 3600), notAfter: BigInt(now + 90 * 86400) };

const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const uuid = (id) => Buffer.from(id.replaceAll("-", ""), "hex");
const message = (content) => encodeMlsMessage({ version: "mls10", ...content });
const ascii = (text) => new TextEncoder().encode(text);

async function newKey() {
  const pair = await webcrypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const publicKey = new Uint8Array(await webcrypto.subtle.exportKey("raw", pair.publicKey));
  return { publicKey, sign: async (content) => new Uint8Array(await webcrypto.subtle.sign("Ed25519", pair.privateKey, content)) };
}

async function newDevice() {
  const [userId, deviceId, identity, keys] = [randomUUID(), randomUUID(), await newKey(), await suite.signature.keygen()];
  const signature = await identity.sign(Buffer.concat([ascii("SecureMessaging 1.0 DeviceCredential"), uuid(userId), uuid(deviceId), keys.publicKey]));
  const credential = { credentialType: "basic", identity: new Uint8Array(Buffer.concat([uuid(userId), uuid(deviceId), identity.publicKey, signature])) };
  const made = await generateKeyPackageWithKey(credential, defaultCapabilities(), lifetime, [], keys, suite);
  const encoded = message({ wireformat: "mls_key_package", keyPackage: made.publicPackage });
  return {
    ...made,
    encoded,
    reference: await makeKeyPackageRef(made.publicPackage, suite.hash),
    expected: { userId, deviceId, identityKey: base64(identity.publicKey), identitySignature: base64(signature), signatureKey: base64(keys.publicKey) },
  };
}

const keyPackages = [];
const welcomes = [];
const privateMessages = [];
const publicMessages = [];

function note(encoded) {
  const read = decodeMlsMessage(encoded, 0)[0].privateMessage;
  privateMessages.push({ message: base64(encoded), groupId: base64(read.groupId), epoch: Number(read.epoch), contentType: read.contentType });
}

async function useGroup(generation, sizes) {
  const roomId = randomUUID();
  const groupId = new Uint8Array(Buffer.concat([uuid(roomId), Buffer.from([generation >>> 24, generation >>> 16, generation >>> 8, generation])]));
  const founder = await newDevice();
  let state = await createGroup(groupId, founder.publicPackage, founder.privatePackage, [], suite);
  const members = [];
  for (const size of sizes) {
    const joining = await Promise.all(Array.from({ length: size }, newDevice));
    const extraProposals = joining.map((device) => ({ proposalType: "add", add: { keyPackage: device.publicPackage } }));
    const commit = await createCommit({ state, cipherSuite: suite }, { extraProposals, ratchetTreeExtension: true });
    note(encodeMlsMessage(commit.commit));
    const encoded = message({ wireformat: "mls_welcome", welcome: commit.welcome });
    welcomes.push({ message: base64(encoded), references: joining.map((device) => base64(device.reference)) });
    state = commit.newState;
    const read = decodeMlsMessage(encoded, 0)[0].welcome;
    // The vectors belong to a valid group: the new member can join.
    const joined = await joinGroup(read, joining[0].publicPackage, joining[0].privatePackage, emptyPskIndex, suite);
    members.push({ device: joining[0], state: joined });
    keyPackages.push(...joining.slice(0, 4));
    const application = await createApplicationMessage(state, ascii("hello ".repeat(size)), suite, ascii("aad"));
    state = application.newState;
    const sent = message({ wireformat: "mls_private_message", privateMessage: application.privateMessage });
    note(sent);
    const received = await processPrivateMessage(joined, decodeMlsMessage(sent, 0)[0].privateMessage, emptyPskIndex, suite);
    if (received.kind !== "applicationMessage") throw new Error("the group does not work");
  }

  const proposal = await createProposal(state, false, { proposalType: "remove", remove: { removed: 1 } }, suite);
  note(encodeMlsMessage(proposal.message));
  const open = await createCommit({ state, cipherSuite: suite }, { wireAsPublicMessage: true });
  publicMessages.push({ message: base64(encodeMlsMessage(open.commit)), contentType: "commit" });
  return { roomId, generation };
}

const groups = [await useGroup(0, [1, 5, 20]), await useGroup(7, [60])];
const { version } = JSON.parse(await readFile(new URL("node_modules/ts-mls/package.json", import.meta.url)));
await mkdir(directory, { recursive: true });
await writeFile(
  `${directory}/vectors.json`,
  `${JSON.stringify(
    {
      madeBy: `ts-mls ${version}`,
      now,
      groups,
      keyPackages: keyPackages.map((device) => ({
        message: base64(device.encoded),
        reference: base64(device.reference),
        notAfter: Number(lifetime.notAfter),
        ...device.expected,
      })),
      privateMessages,
      publicMessages,
      welcomes,
    },
    null,
    1,
  )}\n`,
);
