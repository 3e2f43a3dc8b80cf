// Scalar takes its settings from here. With ?account=new in the address of the page it makes two accounts, signs in with the one, and fits the examples to
// them, so that all can be sent from the top of the page to its end. What needs keys gets keys that are made here and forgotten with the page.
const api = new URL(import.meta.url).searchParams.get("api");
const password = "a long enough password";
const nextPassword = "another long password";
const wanted = new URLSearchParams(location.search).get("account") === "new";

const utf8 = (text) => new TextEncoder().encode(text);
const random = (length) => crypto.getRandomValues(new Uint8Array(length));
const join = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
const uuid = (id) => Uint8Array.from(id.replaceAll("-", "").match(/../g), (byte) => parseInt(byte, 16));
const number = (value, length) => Array.from({ length }, (_, index) => Number((BigInt(value) >> BigInt(8 * (length - 1 - index))) & 255n));
/** A vector as RFC 9420 section 2.1.2 has it. */
const vector = (...parts) => {
  const content = join(...parts);
  return join(content.length < 64 ? [content.length] : [0x40 | (content.length >> 8), content.length & 255], content);
};

async function newKey() {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  return {
    raw: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)),
    sign: async (...parts) => new Uint8Array(await crypto.subtle.sign("Ed25519", pair.privateKey, join(...parts))),
  };
}

const approve = (identity, userId, deviceId, key) => identity.sign(utf8("SecureMessaging 1.0 DeviceCredential"), uuid(userId), uuid(deviceId), key.raw);

/** A KeyPackage of suite 1 (RFC 9420 section 10) that no device can use: its private keys are gone. */
async function keyPackage(key, credential) {
  const seconds = Math.floor(Date.now() / 1000);
  const leaf = join(
    vector(random(32)),
    vector(key.raw),
    [0, 1],
    vector(credential),
    vector([0, 1]),
    vector([0, 1]),
    vector(),
    vector(),
    vector([0, 1]),
    [1],
    number(seconds - 3600, 8),
    number(seconds + 30 * 86400, 8),
    vector(),
  );
  const signed = async (label, content) => vector(await key.sign(vector(utf8(`MLS 1.0 ${label}`)), vector(content)));
  const content = join([0, 1, 0, 1], vector(random(32)), leaf, await signed("LeafNodeTBS", leaf), vector());
  return join([0, 1, 0, 5], content, await signed("KeyPackageTBS", content));
}

/** From it, the room's id is computed (section 2 of the signed objects). */
const foundingOf = (userId) => join([0, 1], vector(utf8("mls10")), [1], uuid(userId), random(32), random(16));

/** What a server can read of a PrivateMessage (RFC 9420 section 6.3); the rest is random. */
const privateMessage = (roomId, epoch, type) =>
  join([0, 1, 0, 2], vector(uuid(roomId), number(0, 4)), number(epoch, 8), [type], vector(), vector(random(28)), vector(random(64)));

/** The first list of a user's devices (section 7 of the signed objects). */
async function firstDeviceList({ userId, username }, deviceId, identity, key, linkKey) {
  const signed = (by, name, content) => by.sign(vector(utf8(`SecureMessaging 1.0 ${name}`)), vector(content));
  const own = await signed(key, "Device", join(uuid(userId), uuid(deviceId), key.raw, linkKey));
  const device = join(uuid(deviceId), key.raw, linkKey, number(1, 8), own);
  const content = join([0, 1], uuid(userId), vector(utf8(username)), number(1, 8), new Uint8Array(32), identity.raw, vector(device), [1], uuid(deviceId));
  return join(content, await signed(identity, "DeviceList", content), await signed(key, "DeviceList", content), [0]);
}

async function call(method, path, body, token) {
  const response = await fetch(api + path, {
    method,
    headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
    body: body && JSON.stringify(body),
  });
  const reply = await response.json();
  if (!response.ok) throw new Error(reply.detail ?? `${path}: ${response.status}`);
  return reply;
}

const signUp = (username) => call("POST", "/v1/auth/sign-up", { username, email: `${username}@example.org`, password });

/** What cannot be taken back stands at the end, in this order. */
const endings = {
  endSession: "/v1/me/sessions/{id}",
  changePassword: "/v1/me/password",
  deleteRoom: "/v1/rooms/{roomId}",
  revokeDevice: "/v1/devices/{deviceId}",
  logOut: "/v1/auth/logout",
  logOutEverywhere: "/v1/auth/logout-everywhere",
  deleteAccount: "/v1/me/delete",
};

function operations(document) {
  return Object.values(document.paths)
    .flatMap((path) => Object.values(path))
    .filter((operation) => operation.operationId);
}

/** The document with examples of this account. */
async function fit(document, me, ben, spare, mark) {
  const [roomId, deviceId] = [crypto.randomUUID(), crypto.randomUUID()];
  await call("POST", "/v1/rooms", { kind: "group", members: [ben.username], id: roomId }, me.accessToken);
  const group = { kind: "group", members: [], scheme: "mls10", founding: base64(foundingOf(me.userId)) };
  const { id: groupId } = await call("POST", "/v1/rooms", group, me.accessToken);
  const first = await call(
    "POST",
    `/v1/rooms/${roomId}/messages`,
    { roomId, clientMessageId: crypto.randomUUID(), ciphertext: base64(random(24)) },
    me.accessToken,
  );
  const [identity, key, nextKey, nextIdentity] = await Promise.all([newKey(), newKey(), newKey(), newKey()]);
  const signature = await approve(identity, me.userId, deviceId, key);
  const linkKey = random(32);
  const message = () => ({ roomId, clientMessageId: crypto.randomUUID(), ciphertext: base64(random(24)) });
  const bodies = {
    signUp: { username: `new-${mark}`, email: `new-${mark}@example.org`, password },
    signIn: { username: me.username, password },
    refresh: { refreshToken: spare.refreshToken },
    updateProfile: { email: `${me.username}@example.com`, password },
    changePassword: { currentPassword: password, newPassword: nextPassword },
    deleteAccount: { password: nextPassword },
    createRoom: { kind: "group", members: [ben.username], id: roomId },
    addMember: { username: ben.username },
    send: message(),
    sendBatch: [message()],
    markDelivered: { seq: first.seq },
    registerDevice: {
      id: deviceId,
      signatureKey: base64(key.raw),
      linkKey: base64(linkKey),
      identityKey: base64(identity.raw),
      identitySignature: base64(signature),
    },
    publishDeviceList: { list: base64(await firstDeviceList(me, deviceId, identity, key, linkKey)) },
    approveDevice: { identitySignature: base64(signature) },
    rotateDevice: {
      signatureKey: base64(nextKey.raw),
      linkKey: base64(random(32)),
      identitySignature: base64(await approve(identity, me.userId, deviceId, nextKey)),
    },
    replaceIdentity: { deviceId, identityKey: base64(nextIdentity.raw), identitySignature: base64(await approve(nextIdentity, me.userId, deviceId, nextKey)) },
    uploadKeyPackages: { keyPackages: [base64(await keyPackage(key, join(uuid(me.userId), uuid(deviceId), identity.raw, signature)))] },
    claimKeyPackages: { userIds: [ben.userId] },
    commit: { id: crypto.randomUUID(), epoch: 0, commit: base64(privateMessage(groupId, 0, 3)) },
    propose: { id: crypto.randomUUID(), epoch: 1, proposal: base64(privateMessage(groupId, 1, 2)) },
    // Before it stand the joining, and four changes of the device and of the list.
    reportInvalidCommit: { seq: 6 },
  };
  const parameters = { roomId, userId: ben.userId, deviceId, username: ben.username, id: spare.sessionId, seq: first.seq, afterSeq: 0 };

  for (const operation of operations(document)) {
    for (const content of Object.values(operation.requestBody?.content ?? {})) content.example = bodies[operation.operationId] ?? content.example;
    for (const parameter of operation.parameters ?? []) {
      if (!(parameter.name in parameters)) continue;
      parameter.example = parameter.name === "roomId" && operation.tags.includes("Handshakes") ? groupId : parameters[parameter.name];
    }
    if (operation.operationId in endings) operation.tags = ["Endings"];
  }
  document.tags.splice(
    document.tags.findIndex((tag) => tag.name === "Admin"),
    0,
    { name: "Endings", description: "What cannot be taken back. Leaving devices and sessions ends the session of this page; make another account then." },
  );
  for (const path of Object.values(endings)) {
    const moved = document.paths[path];
    delete document.paths[path];
    document.paths[path] = moved;
  }
  return document;
}

function say(text) {
  const place = document.getElementById("who");
  if (place) place.textContent = text;
}

async function makeAccount() {
  try {
    const mark = base64(random(6))
      .toLowerCase()
      .replaceAll(/[^a-z0-9]/g, "0");
    const [me, ben] = [await signUp(`anna-${mark}`), await signUp(`ben-${mark}`)];
    const spare = await call("POST", "/v1/auth/token", { username: me.username, password });
    const content = await fit(await call("GET", "/openapi/v1.json"), me, ben, spare, mark);
    content.servers = [{ url: api }];
    // A reload must not make another.
    history.replaceState(null, "", location.pathname + location.hash);
    say(`Signed in as ${me.username}.`);
    return {
      sources: [{ title: "SecureMessaging", content }],
      authentication: { preferredSecurityScheme: "bearer", securitySchemes: { bearer: { token: me.accessToken } } },
    };
  } catch (error) {
    say(`No account was made: ${error.message}`);
    return {};
  }
}

export default wanted ? await makeAccount() : {};
