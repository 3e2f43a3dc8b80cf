// The messages of a SignalR hub with MessagePack: a length of 7 bits a byte, then an array. https://github.com/dotnet/aspnetcore, HubProtocol.md
import { decode, encode } from "./packages.mjs";

export const kinds = { invocation: 1, completion: 3, ping: 6, close: 7 };

/** Splits a frame into messages: the decoded array and the bytes that it came from. Undefined for the handshake, which is text. */
export function split(bytes) {
  const found = [];
  for (let at = 0; at < bytes.length;) {
    let length = 0;
    let begin = at;
    for (let shift = 0; ; shift += 7) {
      if (begin >= bytes.length || shift > 28) return undefined;
      const byte = bytes[begin++];
      length += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) break;
    }
    if (begin + length > bytes.length) return undefined;
    try {
      found.push({ message: decode(bytes.subarray(begin, begin + length)), bytes: bytes.subarray(at, begin + length) });
    } catch {
      return undefined;
    }
    at = begin + length;
  }
  return found;
}

export function join(message) {
  const body = encode(message, { ignoreUndefined: true });
  const header = [];
  let left = body.length;
  do {
    header.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    left = Math.floor(left / 128);
  } while (left > 0);
  return Buffer.concat([Buffer.from(header), body]);
}

export const invocation = (target, args) => join([kinds.invocation, {}, null, target, args, []]);
export const completion = (id, result) => (result === undefined ? join([kinds.completion, {}, id, 2]) : join([kinds.completion, {}, id, 3, result]));
export const failure = (id, text) => join([kinds.completion, {}, id, 1, text]);
