// The hostile member: an ordinary client that becomes a program of its own with `seize`. After that it makes leaves, Commits and contents that no client of the
// SDK would make. It has no connection: the attack passes it the log and posts what it makes.
import { randomBytes, randomUUID } from "node:crypto";
import { commands, here, listen, roomOf } from "./client.mjs";
import { Group } from "../../src/web/sdk/dist/mls/group.js";
import { encodeCredential, signDevice } from "../../src/web/sdk/dist/mls/credential.js";
import { generateSigningKey } from "../../src/web/sdk/dist/mls/ed25519.js";
import { decodeMessage, decodeOwn, encodeMessage, makeKeyPackage, welcomeReferences } from "../../src/web/sdk/dist/mls/messages.js";
import { roomInfoExtension } from "../../src/web/sdk/dist/mls/join.js";
import { hpke, suite } from "../../src/web/sdk/dist/mls/suite.js";
import { keys, pack, unpack } from "../../src/web/sdk/dist/store/store.js";
import { pad } from "../../src/web/sdk/dist/content/padding.js";

import { oddCommits, trueChain } from "./commits.mjs";
import { authorsOf, inventChain, makeStatement, signedRoom, signFirst, signRival } from "./statements.mjs";

const ts = (name) => import(new URL(`../../src/web/node_modules/ts-mls/dist/src/${name}.js`, import.meta.url).href);
const [{ createCommit }, { createContentCommitSignature }, { protect }, { createUpdatePath }, { createApplicationMessage }, { toLeafIndex, leafToNodeIndex }] =
  await Promise.all(["createCommit", "framedContent", "messageProtection", "updatePath", "createMessage", "treemath"].map(ts));
const { emptyPskIndex } = await ts("pskIndex");
const { createGroup } = await ts("clientState");

/** The states of this member by room and name: "self", and one for each leaf that it forged. */
const rooms = new Map();
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const bytesOf = (text) => new Uint8Array(Buffer.from(text, "base64"));
const stateOf = (room, as) => rooms.get(room)?.[as] ?? raise(`no state ${as}`);

// The members that the SDK puts into each content, as it sent the last one from here.
let template;
const encrypt = Reflect.get(Group.prototype, "encrypt");
Group.prototype.encrypt = function (plaintext) {
  template = contentOf(plaintext);
  return encrypt.call(this, plaintext);
};

/** The JSON of a padded content. */
const contentOf = (plaintext) => JSON.parse(Buffer.from(plaintext.subarray(0, plaintext.lastIndexOf(0x80))).toString("utf8"));

/** A device of its own making: any user id, any device id, an identity that only this program knows. */
async function forge(userId, deviceId = randomUUID()) {
  const [identity, signature] = [await generateSigningKey(), await generateSigningKey()];
  const credential = {
    userId,
    deviceId,
    identityKey: identity.publicKey,
    identitySignature: await signDevice(identity.privateKey, userId, deviceId, signature.publicKey),
  };
  return { credential, signature, identity };
}

/** The own device, as the SDK stores it. */
async function ownDevice() {
  const { signature, deviceId, identityKey, identitySignature } = unpack(await here.store.get(keys.device));
  return { credential: { userId: here.client.userId, deviceId, identityKey, identitySignature }, signature };
}

/** The SDK keeps the state of ts-mls in a member that is private to TypeScript only. */
const stateIn = (joined) => (joined.group ?? joined).state ?? raise("the SDK's Group has no state");
const join = async (welcome, own) => stateIn(await Group.join(welcome, own));
function raise(text) {
  throw new Error(text);
}

const leafOf = (state, userId) => new Group(state).leaves().find((leaf) => leaf.userId === userId)?.index ?? raise("the victim has no leaf");

/** The statement of a change by this member, whatever its role; undefined without a change. */
const statementOf = async ({ self, signed, device }, wanted) => wanted && makeStatement({ state: self, signed, device, wanted });

const addOf = (message) => ({ proposalType: "add", add: { keyPackage: decodeMessage(message).keyPackage } });

async function commit(state, extraProposals, { sealed: authenticatedData = new Uint8Array(), roomInfo, cipherSuite, pskIndex = emptyPskIndex } = {}) {
  const groupInfoExtensions = roomInfo ? [{ extensionType: roomInfoExtension, extensionData: roomInfo }] : [];
  return createCommit(
    { state: { ...state, unappliedProposals: {} }, cipherSuite: cipherSuite ?? (await suite()), pskIndex },
    { extraProposals, ratchetTreeExtension: true, authenticatedData, groupInfoExtensions },
  );
}

const made = (state, result) => ({
  epoch: Number(state.groupContext.epoch),
  commit: base64(encodeMessage(result.commit)),
  welcome: result.welcome && base64(encodeMessage({ version: "mls10", wireformat: "mls_welcome", welcome: result.welcome })),
});

/** Frames and signs a Commit of any content. Its confirmation tag is random. */
async function sign(state, proposals, path) {
  const cs = await suite();
  const none = new Uint8Array();
  const { signature, framedContent } = await createContentCommitSignature(
    state.groupContext,
    "mls_private_message",
    { proposals: proposals.map((proposal) => ({ proposalOrRefType: "proposal", proposal })), path },
    { senderType: "member", leafIndex: state.privatePath.leafIndex },
    none,
    state.signaturePrivateKey,
    cs.signature,
  );
  const auth = { contentType: "commit", signature, confirmationTag: new Uint8Array(randomBytes(32)) };
  const { privateMessage } = await protect(
    state.keySchedule.senderDataSecret,
    none,
    state.groupContext,
    state.secretTree,
    { ...framedContent, auth },
    state.privatePath.leafIndex,
    state.clientConfig.paddingConfig,
    cs,
  );
  return {
    epoch: Number(state.groupContext.epoch),
    commit: base64(encodeMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage })),
  };
}

const pathOf = async (state) =>
  (await createUpdatePath(state.ratchetTree, toLeafIndex(state.privatePath.leafIndex), state.groupContext, state.signaturePrivateKey, await suite()))[1];

const crafts = {
  /** Adds a leaf with the id of another user and an identity of this program. */
  async forgedLeaf(room, { userId, deviceId }) {
    const all = rooms.get(room);
    const { credential, signature } = await forge(userId, deviceId);
    const own = await makeKeyPackage(credential, signature, 84, Date.now());
    const result = await commit(all.self, [addOf(own.message)]);
    const answer = made(all.self, result);
    all.self = result.newState;
    all.forged = await join(bytesOf(answer.welcome), own);
    return { ...answer, deviceId: credential.deviceId };
  },
  /** Adds any KeyPackage, also of a user who is not in the room. */
  async add(room, { keyPackage, statement }) {
    const all = rooms.get(room);
    const result = await commit(all.self, [addOf(bytesOf(keyPackage))], await statementOf(all, statement));
    const answer = made(all.self, result);
    all.self = result.newState;
    return answer;
  },
  /** A Commit without Adds and Removes, with a statement. */
  async state(room, { statement }) {
    const all = rooms.get(room);
    const result = await commit(all.self, [], await statementOf(all, statement));
    const answer = made(all.self, result);
    all.self = result.newState;
    return answer;
  },
  /** The own leaf becomes one of another user: the path carries a changed credential. */
  async pathLeaf(room, { userId, deviceId }) {
    const all = rooms.get(room);
    const { leafIndex } = all.self.privatePath;
    const tree = [...all.self.ratchetTree];
    const at = leafToNodeIndex(toLeafIndex(leafIndex));
    const { leaf } = tree[at];
    const identity = await generateSigningKey();
    const device = deviceId ?? randomUUID();
    const credential = {
      userId,
      deviceId: device,
      identityKey: identity.publicKey,
      identitySignature: await signDevice(identity.privateKey, userId, device, leaf.signaturePublicKey),
    };
    tree[at] = { nodeType: "leaf", leaf: { ...leaf, credential: { credentialType: "basic", identity: encodeCredential(credential) } } };
    const result = await commit({ ...all.self, ratchetTree: tree }, []);
    const answer = made(all.self, result);
    all.self = all.forged = result.newState;
    return answer;
  },
  /** A second leaf of the own device, with the own identity and another signature key. */
  async twin(room) {
    const all = rooms.get(room);
    const { deviceId: id, identityKey, identitySeed } = unpack(await here.store.get(keys.device));
    const signature = await generateSigningKey();
    const { userId } = here.client;
    const identitySignature = await signDevice(identitySeed, userId, id, signature.publicKey);
    const own = await makeKeyPackage({ userId, deviceId: id, identityKey, identitySignature }, signature, 84, Date.now());
    const result = await commit(all.self, [addOf(own.message)]);
    const answer = made(all.self, result);
    all.self = result.newState;
    return answer;
  },
  /** Two valid Commits of one epoch. The states after them are "self" and "other". */
  async fork(room) {
    const all = rooms.get(room);
    const state = all.self;
    const [one, two] = [await commit(state, []), await commit(state, [])];
    Object.assign(all, { self: one.newState, other: two.newState });
    return [made(state, one), made(state, two)];
  },
  /** A valid Commit that removes a user for whom nothing gives a reason. */
  async remove(room, { userId }) {
    const all = rooms.get(room);
    const result = await commit(all.self, [{ proposalType: "remove", remove: { removed: await leafOf(all.self, userId) } }]);
    const answer = made(all.self, result);
    all.self = result.newState;
    return answer;
  },
  /** A Commit that names a victim in a Remove, and that no other member can apply. */
  async evict(room, { userId }) {
    const state = await stateOf(room, "self");
    return sign(state, [{ proposalType: "remove", remove: { removed: await leafOf(state, userId) } }], await pathOf(state));
  },
  /** A Commit whose signature is right and whose content is not. */
  async signedJunk(room) {
    const state = await stateOf(room, "self");
    return sign(state, [], await pathOf(state));
  },
  /** A readable header and 200 random bytes. */
  async junk(room) {
    const state = await stateOf(room, "self");
    const { privateMessage } = decodeMessage(bytesOf((await sign(state, [], undefined)).commit));
    const message = { ...privateMessage, ciphertext: new Uint8Array(randomBytes(200)), encryptedSenderData: new Uint8Array(randomBytes(28)) };
    return {
      epoch: Number(state.groupContext.epoch),
      commit: base64(encodeMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage: message })),
    };
  },
};

const nodeOf = (state, index) => state.ratchetTree[leafToNodeIndex(toLeafIndex(index))].leaf;
async function newPackage(userId) {
  const { credential, signature } = await forge(userId);
  return decodeOwn(await makeKeyPackage(credential, signature, 84, Date.now()));
}
Object.assign(crafts, oddCommits({ rooms, commit, made, addOf, bytesOf, base64, leafOf, nodeOf, newPackage, raise }));

Object.assign(commands, {
  /** Ends the client and keeps the group states of these rooms. */
  seize: async ({ room }) => {
    const found = await roomOf(room);
    await found.whenReady(20_000);
    await (
      await found.send("before the attack")
    ).stored;
    const state = stateIn(found.core.group);
    rooms.set(room, { self: state, template, signed: await signedRoom(here.store, room), device: await ownDevice() });
    await here.client.close();
    return { epoch: Number(state.groupContext.epoch), leaf: state.privatePath.leafIndex };
  },
  craft: ({ room, what, ...options }) => crafts[what](room, options),
  /** Encrypts a content. Its fields are those of the JSON; the id is made unless it is given. */
  seal: async ({ room, as = "self", content }) => {
    const state = await stateOf(room, as);
    const id = content.id ?? randomUUID();
    const { type: _, text: __, id: ___, ...usual } = rooms.get(room).template ?? { v: 1 };
    const plain = pad(Buffer.from(JSON.stringify({ ...usual, sent: Date.now(), ...content, id })));
    const result = await createApplicationMessage({ ...state, unappliedProposals: {} }, plain, await suite());
    rooms.get(room)[as] = { ...state, secretTree: result.newState.secretTree };
    return {
      id,
      epoch: Number(state.groupContext.epoch),
      ciphertext: base64(encodeMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage: result.privateMessage })),
    };
  },
  /** Reads entries of the log with each state. Returns the texts. */
  read: async ({ room, entries, only }) => {
    const texts = [];
    const all = rooms.get(room);
    for (const as of Object.keys(all).filter((name) => all[name]?.groupContext && (!only || name === only))) {
      for (const entry of entries.filter(({ ciphertext }) => ciphertext)) {
        try {
          const group = new Group(all[as]);
          if (entry.kind === "commit") {
            const next = await group.applyCommit(bytesOf(entry.ciphertext));
            if (next.group) all[as] = next.group.state;
          } else if (entry.kind === "message") {
            const { group: after, plaintext } = await group.decrypt(bytesOf(entry.ciphertext));
            all[as] = after.state;
            texts.push(contentOf(plaintext).text);
          }
        } catch {
          // This state cannot read this entry.
        }
      }
    }
    return texts;
  },
  /** A KeyPackage of a device that this program makes. The private keys stay here under `name`. */
  keyPackage: async ({ name, userId, deviceId }) => {
    const device = await forge(userId, deviceId);
    const { credential, signature, identity } = device;
    const own = await makeKeyPackage(credential, signature, 84, Date.now());
    packages.set(name, own);
    forged.set(name, device);
    return {
      deviceId: credential.deviceId,
      keyPackage: base64(own.message),
      signatureKey: base64(signature.publicKey),
      identityKey: base64(identity.publicKey),
      identitySignature: base64(credential.identitySignature),
    };
  },
  /** A KeyPackage of the own device. */
  ownPackage: async ({ name }) => {
    const device = await ownDevice();
    const own = await makeKeyPackage(device.credential, device.signature, 84, Date.now());
    packages.set(name, own);
    forged.set(name, device);
    return { identity: Buffer.from(device.credential.identityKey).toString("hex") };
  },
  /** The first device list of the user of such a KeyPackage, by its keys. */
  firstList: async ({ name, username }) => base64(await signFirst(forged.get(name), username)),
  /** Signs a device of another user with an identity of this program. */
  approveAs: async ({ userId, deviceId, signatureKey }) => {
    const identity = await generateSigningKey();
    const identitySignature = await signDevice(identity.privateKey, userId, deviceId, bytesOf(signatureKey));
    return { identityKey: base64(identity.publicKey), identitySignature: base64(identitySignature) };
  },
  /** The users who have signed the statements that this member has. */
  evidence: ({ room }) => authorsOf(rooms.get(room).signed),
  /** Another next list than the true one, by this device: it gets a new link key, and stays. */
  rivalList: async ({ lists }) => base64(await signRival(here.store, bytesOf(lists.at(-1)))),
  /** Begins as a new device with the identity of a stolen one. */
  inherit: async ({ values }) => {
    const stolen = unpack(bytesOf(values.find(([key]) => key === keys.device)[1]));
    const userId = unpack(bytesOf(values.find(([key]) => key === "owner")[1]));
    const [signature, link, deviceId] = [await generateSigningKey(), stolen.link, randomUUID()];
    const { kem } = hpke();
    const pair = await kem.generateKeyPair();
    const [privateKey, publicKey] = [await kem.serializePrivateKey(pair.privateKey), await kem.serializePublicKey(pair.publicKey)];
    const record = {
      deviceId,
      signature,
      link: { ...link, privateKey: new Uint8Array(privateKey), publicKey: new Uint8Array(publicKey) },
      registered: false,
      identitySeed: stolen.identitySeed,
      identityKey: stolen.identityKey,
      identitySignature: await signDevice(stolen.identitySeed, userId, deviceId, signature.publicKey),
    };
    await here.store.write(new Map([[keys.device, pack(record)]]));
  },
  /** Joins with the KeyPackages that this device had. */
  joinStolen: async ({ room, welcomes }) => {
    for (const welcome of welcomes)
      for (const reference of welcomeReferences(bytesOf(welcome))) {
        const value = await here.store.get(keys.keyPackage(reference));
        if (!value) continue;
        const state = await join(bytesOf(welcome), unpack(value));
        if (!Buffer.from(state.groupContext.groupId).toString("hex").startsWith(room.replaceAll("-", ""))) continue;
        rooms.set(room, { ...rooms.get(room), self: state });
        return { epoch: Number(state.groupContext.epoch) };
      }
    throw new Error("no Welcome for this device");
  },
  /** Founds a group with the id of a room of others, and adds KeyPackages to it. `chain`: that of the Welcome; `true`: the room's own. */
  found: async ({ room, generation, name, keyPackages, emptyCommits = 0, chain, as = "self" }) => {
    const own = packages.get(name);
    const id = new Uint8Array(20);
    id.set(Buffer.from(room.replaceAll("-", ""), "hex"));
    new DataView(id.buffer).setUint32(16, generation);
    const { keyPackage, privateKeys } = decodeOwn(own);
    const config = await configOf();
    let state = await createGroup(id, keyPackage, privateKeys, [], await suite(), config);
    for (let i = 0; i < emptyCommits; i++) state = (await commit(state, [])).newState;
    const invent = () => inventChain({ ...chain, state, device: forged.get(name), founding: bytesOf(chain.founding) });
    const roomInfo = chain && (await (chain === true ? trueChain(rooms.get(room).signed) : invent()));
    const adds = keyPackages.map((message) => addOf(bytesOf(message)));
    const result = await commit(state, adds, { roomInfo });
    rooms.set(room, { ...rooms.get(room), [as]: result.newState });
    return made(state, result);
  },
  /** Joins with a Welcome for a KeyPackage that this program made. */
  join: async ({ room, name, welcome, as = "self" }) => {
    const state = await join(bytesOf(welcome), packages.get(name));
    rooms.set(room, { ...rooms.get(room), [as]: state });
    return { epoch: Number(state.groupContext.epoch) };
  },
});

/** KeyPackages and devices that this program has made, by name. */
const packages = new Map();
const forged = new Map();

/** The configuration that the SDK gives to its groups. */
async function configOf() {
  const { credential, signature } = await forge(randomUUID());
  const group = await Group.found(new Uint8Array(20), await makeKeyPackage(credential, signature, 1, Date.now()));
  return group.state.clientConfig;
}

listen();
