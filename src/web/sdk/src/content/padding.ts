import type { Bytes } from "../base/bytes.js";

/** The sizes in bytes to which content is padded before encryption. The largest one fits into an envelope. */
export const buckets = [256, 512, 1024, 2048, 4096, 8192, 16384, 32256] as const;

/** The maximal size of a content, in bytes. */
export const maxContentBytes = buckets[buckets.length - 1]! - 1;

/** Appends 0x80 and zeros up to the next size (ISO/IEC 7816-4). Throws a RangeError when the content is too large. @internal */
export function pad(content: Uint8Array, sizes: readonly number[] = buckets): Bytes {
  const size = sizes.find((bucket) => bucket > content.length);
  if (size === undefined) throw new RangeError(`The content has more than ${sizes[sizes.length - 1]! - 1} bytes.`);
  const padded = new Uint8Array(size);
  padded.set(content);
  padded[content.length] = 0x80;
  return padded;
}

/** Undefined when the padding is not valid. @internal */
export function unpad(padded: Uint8Array): Uint8Array | undefined {
  let end = padded.length - 1;
  while (end >= 0 && padded[end] === 0) end--;
  return end >= 0 && padded[end] === 0x80 ? padded.subarray(0, end) : undefined;
}
