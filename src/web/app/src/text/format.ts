import { strings } from "./strings.js";

/**
 * Times and numbers follow the reader's locale, whatever the language of the app. Browsers may report locales that Intl does not accept, such as en-US@posix.
 */
const locale = [...(navigator.languages ?? []), strings.language].flatMap((tag) => {
  try {
    return Intl.getCanonicalLocales(tag);
  } catch {
    return [];
  }
});

const time = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
const weekday = new Intl.DateTimeFormat(locale, { weekday: "long" });
const shortWeekday = new Intl.DateTimeFormat(locale, { weekday: "short" });
const shortDay = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
const shortDate = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric" });
const longDay = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
const longDate = new Intl.DateTimeFormat(locale, { day: "numeric", month: "long", year: "numeric" });
const full = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" });
const number = new Intl.NumberFormat(locale);

type When = Date | number | string;

/** A value of the server that is no valid date must not break the screen. */
function dateOf(when: When): Date {
  const date = new Date(when);
  return Number.isNaN(date.getTime()) ? new Date(0) : date;
}

/** For machines, as in `<time datetime>`. */
export const iso = (when: When): string => dateOf(when).toISOString();
const midnight = (date: Date): number => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
const daysAgo = (date: Date): number => Math.round((midnight(new Date()) - midnight(date)) / 86_400_000);

export const clock = (when: When): string => time.format(dateOf(when));
export const fullTime = (when: When): string => full.format(dateOf(when));
export const count = (value: number): string => number.format(value);

/** The day of a message in the reader's time zone. */
export const dayKey = (when: When): number => midnight(dateOf(when));

/** The heading above the messages of a day. */
export function day(when: When): string {
  const date = dateOf(when);
  const ago = daysAgo(date);
  if (ago === 0) return strings.time.today;
  if (ago === 1) return strings.time.yesterday;
  if (ago > 1 && ago < 7) return weekday.format(date);
  return date.getFullYear() === new Date().getFullYear() ? longDay.format(date) : longDate.format(date);
}

/** A short form, for lists. */
export function brief(when: When): string {
  const date = dateOf(when);
  const ago = daysAgo(date);
  if (ago === 0) return clock(date);
  if (ago === 1) return strings.time.yesterday;
  if (ago > 1 && ago < 7) return shortWeekday.format(date);
  return date.getFullYear() === new Date().getFullYear() ? shortDay.format(date) : shortDate.format(date);
}

/** A calendar date of the server, `yyyy-mm-dd`. It has no time zone. */
export function calendarDate(text: string): string {
  const [year, month, dayOfMonth] = text.slice(0, 10).split("-").map(Number);
  return year && month && dayOfMonth ? longDate.format(new Date(year, month - 1, dayOfMonth)) : text;
}

/** A time that is known to the hour. */
export const hour = (when: When): string => strings.time.dateAt(shortDate.format(dateOf(when)), clock(when));

/** The reader's time zone, for quiet hours. */
export const timeZone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** A duration that was chosen from a list. */
export function duration(seconds: number): string {
  const { units } = strings.time;
  for (const [size, unit] of [
    [604_800, units.week],
    [86_400, units.day],
    [3_600, units.hour],
    [60, units.minute],
  ] as const)
    if (seconds >= size && seconds % size === 0) return unit(seconds / size);
  return units.minute(Math.ceil(seconds / 60));
}
