import { afterEach, expect, it, vi } from "vitest";

/** The module in a browser with these languages. */
async function formats(languages: readonly string[] | undefined) {
  vi.stubGlobal("navigator", { languages });
  vi.resetModules();
  return import("../src/text/format.js");
}

afterEach(() => vi.unstubAllGlobals());

const evening = new Date(2026, 10, 30, 21, 5);

it.each([
  [["de-DE", "de", "en-US", "en"], "21:05", "30. November 2026"],
  [["fr-FR", "en"], "21:05", "30 novembre 2026"],
  [["en-GB"], "21:05", "30 November 2026"],
  [["en-US"], "9:05 PM", "November 30, 2026"],
])("the clock and dates are those of the first language of %j", async (languages, clock, date) => {
  const format = await formats(languages);
  expect(format.clock(evening).replace(/\s/g, " ")).toBe(clock);
  expect(format.calendarDate("2026-11-30")).toBe(date);
});

it.each([[["en-US@posix"]], [["C", "", "de-DE"]], [["not a language"]], [[]], [undefined]])(
  "a browser whose languages are %j gets times all the same",
  async (languages) => {
    const format = await formats(languages);
    expect(format.clock(evening)).toMatch(/05/);
    expect(format.timeZone()).not.toBe("");
  },
);
