import { plural } from "./words.js";

/** Days and spans of time. */
export const timeStrings = {
  time: {
    today: "Today",
    yesterday: "Yesterday",
    dateAt: (date: string, clock: string) => `${date}, ${clock}`,
    units: {
      minute: (n: number) => plural(n, "minute", "minutes"),
      hour: (n: number) => plural(n, "hour", "hours"),
      day: (n: number) => plural(n, "day", "days"),
      week: (n: number) => plural(n, "week", "weeks"),
    },
  },
} as const;
