/** Ways to let a failure disappear. */
const silent = [
  // catch that does nothing, or only explains itself
  /catch(?:\s*\([^)]*\))?\s*\{(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*\}/g,
  // .catch(() => undefined) and its kin, also as the second argument of then
  /(?:\.catch\(|\.then\([^()]*(?:\([^()]*\)[^()]*)*,)\s*(?:\(\w*\)|\w+)\s*=>\s*(?:undefined|null|void 0|\{\s*\}|""|\[\])\s*\)/g,
  // without catching anything, the outcome is thrown away
  /Promise\.allSettled\(/g,
];

export function found(text: string): string[] {
  return silent.flatMap((pattern) => [...text.matchAll(pattern)].map(([match]) => match));
}
