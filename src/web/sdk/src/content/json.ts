/*
 * JSON (RFC 8259) as contents need it: all clients must read the same values, so a text with a mark, with a name that occurs twice, or with a number that is
 * not an integer up to 2^53 - 1 is refused.
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

const mostLevels = 512;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const space = /[ \t\n\r]*/y;
const integer = /-?(?:0|[1-9][0-9]*)(?![0-9.eE])/y;
// Characters from a space on, but no quote and no backslash; or an escape.
const string = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

class Malformed extends Error {}

/** The value of a JSON text in UTF-8; undefined when it is malformed. Objects have no prototype. */
export function parseJson(bytes: Uint8Array): Json | undefined {
  try {
    return new Parser(decoder.decode(bytes)).whole();
  } catch (error) {
    if (error instanceof Malformed || error instanceof TypeError) return undefined;
    throw error;
  }
}

class Parser {
  private offset = 0;
  private levels = 0;

  constructor(private readonly text: string) {}

  whole(): Json {
    const value = this.value();
    if (this.offset !== this.text.length) throw new Malformed();
    return value;
  }

  private value(): Json {
    this.match(space);
    const value = this.bare();
    this.match(space);
    return value;
  }

  private bare(): Json {
    switch (this.text[this.offset]) {
      case "{":
        return this.object();
      case "[":
        return this.array();
      case '"':
        return this.string();
      case "t":
        return this.word("true", true);
      case "f":
        return this.word("false", false);
      case "n":
        return this.word("null", null);
      default: {
        const value = Number(this.match(integer));
        if (!Number.isSafeInteger(value)) throw new Malformed();
        return value + 0;
      }
    }
  }

  private object(): JsonObject {
    const object = Object.create(null) as Record<string, Json>;
    this.items("}", () => {
      this.match(space);
      const name = this.string();
      this.match(space);
      this.word(":", null);
      if (name in object) throw new Malformed();
      object[name] = this.value();
    });
    return object;
  }

  private array(): Json[] {
    const array: Json[] = [];
    this.items("]", () => array.push(this.value()));
    return array;
  }

  private items(end: string, read: () => void): void {
    if (++this.levels > mostLevels) throw new Malformed();
    this.offset++;
    this.match(space);
    if (this.text[this.offset] === end) this.offset++;
    else
      for (let more = true; more;) {
        read();
        more = this.text[this.offset] === ",";
        if (!more && this.text[this.offset] !== end) throw new Malformed();
        this.offset++;
      }
    this.levels--;
  }

  private string(): string {
    const value = JSON.parse(this.match(string)) as string;
    // Half of a surrogate pair has no UTF-8.
    if (/[\ud800-\udfff]/u.test(value)) throw new Malformed();
    return value;
  }

  private word<T>(text: string, value: T): T {
    if (!this.text.startsWith(text, this.offset)) throw new Malformed();
    this.offset += text.length;
    return value;
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.offset;
    const found = pattern.exec(this.text);
    if (!found) throw new Malformed();
    this.offset = pattern.lastIndex;
    return found[0];
  }
}

/** The levels of arrays and objects in a value: 0 for a scalar. */
export function levelsOf(value: Json): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Object.values(value).reduce<number>((most, each) => Math.max(most, levelsOf(each)), 0);
}
