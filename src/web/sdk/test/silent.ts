/** Code that swallows a failure. */
const silent = [
  // a catch that is empty or has only a comment
  /catch(?:\s*\([^)]*\))?\s*\{(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*\}/g,
  // .catch(() => undefined) and similar, also as the second argument of then
  /(?:\.catch\(|\.then\([^()]*(?:\([^()]*\)[^()]*)*,)\s*(?:\(\w*\)|\w+)\s*=>\s*(?:undefined|null|void 0|\{\s*\}|""|\[\])\s*\)/g,
  // the outcome is discarded
  /Promise\.allSettled\(/g,
];

export function found(text: string): string[] {
  return silent.flatMap((pattern) => [...text.matchAll(pattern)].map(([match]) => match));
}
