import { describe, expect, it } from "vitest";
import { pieces } from "../src/text/safe.js";

const links = (text: string) =>
  pieces(text).flatMap((piece) => ("href" in piece ? [piece.host === undefined ? piece.href : `${piece.href} asks: ${piece.host}`] : []));

describe("addresses in a text", () => {
  it.each([
    ["see https://example.org/a?b=c#d.", ["https://example.org/a?b=c#d"]],
    ["(www.example.org), www.Example.org/x", ["https://www.example.org/", "https://www.example.org/x"]],
    ["Anna.B+c@mail.example.org, and <ben@example.org>", ["mailto:Anna.B+c@mail.example.org", "mailto:ben@example.org"]],
    ["https://example.org/~anna@home.org", ["https://example.org/~anna@home.org"]],
    ["http://192.168.1.2:8080/x http://[::1]/", ["http://192.168.1.2:8080/x", "http://[::1]/"]],
    [
      "https://münchen.de https://łódź.pl https://пример.рф https://例え.テスト",
      ["https://xn--mnchen-3ya.de/", "https://xn--d-uga0v4h.pl/", "https://xn--e1afmkfd.xn--p1ai/", "https://xn--r8jz45g.xn--zckzah/"],
    ],
  ])("are links as written: %s", (text, expected) => expect(links(text)).toEqual(expected));

  it.each([
    "www. www.. xwww.example.org",
    "javascript:alert(1)",
    "data:text/html,x",
    "a@b",
    "@example.org",
    "http://user@evil.example/",
    "https://user:secret@evil.example",
    "ftp://example.org",
    "https://",
  ])("are none when they are unsafe or not whole: %s", (text) => expect(links(text)).toEqual([]));

  it.each([
    ["https://аррӏе.com/login", "xn--80ak6aa92e.com"],
    ["https://exаmple.org", "xn--exmple-4nf.org"],
    ["www.wıkipedia.org", "www.xn--wkipedia-tkb.org"],
    ["https://%D0%B0pple.com", "xn--pple-43d.com"],
    ["https://example.org。evil.example", "example.org.evil.example"],
    ["https://gооgle.com:443/x", "xn--ggle-55da.com"],
  ])("ask before they open when they can look like another: %s", (text, host) =>
    expect(links(text)).toEqual([expect.stringMatching(new RegExp(`asks: ${host}$`))]),
  );

  it("lose no character", () => {
    const text = "a www.example.org b anna@example.org, https://аррӏе.com/ c http://user@evil.example/ d";
    expect(
      pieces(text)
        .map((piece) => piece.text)
        .join(""),
    ).toBe(text);
  });
});
