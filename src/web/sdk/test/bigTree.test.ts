/* A Welcome needs only a KeyPackage of the device, so that the server can make one: it must not keep the device busy. */
import { expect, test } from "vitest";
import { encodeRatchetTree } from "ts-mls/ratchetTree.js";
import { encryptGroupInfo, encryptGroupSecrets } from "ts-mls/welcome.js";
import { extractWelcomeSecret } from "ts-mls/groupInfo.js";
import { concat, uint32 } from "../src/base/bytes.js";
import { Group } from "../src/mls/group.js";
import { mostLeaves } from "../src/mls/join.js";
import { decodePackageMessage, encodeMessage, type OwnKeyPackage } from "../src/mls/messages.js";
import { suite, suiteName } from "../src/mls/suite.js";
import { newDevice, newUser, packageOf } from "./people.js";

/** A Welcome with this tree, as the server can make it. */
async function welcomeWith(tree: Uint8Array, own: OwnKeyPackage): Promise<Uint8Array> {
  const cs = await suite();
  const [joinerSecret, none] = [new Uint8Array(32), new Uint8Array(0)];
  const groupContext = {
    version: "mls10" as const,
    cipherSuite: suiteName as typeof suiteName,
    groupId: new Uint8Array(20),
    epoch: 1n,
    treeHash: new Uint8Array(32),
    confirmedTranscriptHash: none,
    extensions: [],
  };
  const extensions = [{ extensionType: "ratchet_tree" as const, extensionData: tree }];
  const info = { groupContext, extensions, confirmationTag: none, signer: 0, signature: none };
  const encryptedGroupInfo = await encryptGroupInfo(info, await extractWelcomeSecret(joinerSecret, new Uint8Array(cs.kdf.size), cs.kdf), cs);
  const secrets = { joinerSecret, pathSecret: undefined, psks: [] };
  const { initKey } = decodePackageMessage(own.message);
  const { enc, ct } = await encryptGroupSecrets(await cs.hpke.importPublicKey(initKey), encryptedGroupInfo, secrets, cs.hpke);
  const sealed = [{ newMember: own.reference, encryptedGroupSecrets: { kemOutput: enc, ciphertext: ct } }];
  return encodeMessage({ version: "mls10", wireformat: "mls_welcome", welcome: { cipherSuite: suiteName, secrets: sealed, encryptedGroupInfo } });
}

/** An encoded tree with this many leaves, of which only the first and the last one are not blank. */
function treeOf(leaves: number, own: OwnKeyPackage): Uint8Array {
  const { leafNode: leaf } = decodePackageMessage(own.message);
  const alone = encodeRatchetTree([{ nodeType: "leaf", leaf }]);
  const node = alone.subarray(2 ** (alone[0]! >> 6));
  const content = concat(node, new Uint8Array(2 * leaves - 3), node);
  return concat(uint32(2 ** 31 + content.length), content);
}

test.each([
  [mostLeaves + 1, "too many leaves"],
  [mostLeaves, "not signed by its signer"],
])("a Welcome into a tree of %d leaves: %s", async (leaves, why) => {
  const own = await packageOf(await newDevice(await newUser()));
  const welcome = await welcomeWith(treeOf(leaves, own), own);
  await expect(Group.join(welcome, own)).rejects.toThrow(why);
});
