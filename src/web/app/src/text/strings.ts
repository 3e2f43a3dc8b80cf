import { accountStrings } from "./en/account.js";
import { appStrings } from "./en/app.js";
import { chatStrings } from "./en/chat.js";
import { dataStrings } from "./en/data.js";
import { devicesStrings } from "./en/devices.js";
import { errorsStrings } from "./en/errors.js";
import { keysStrings } from "./en/keys.js";
import { linesStrings } from "./en/lines.js";
import { listStrings } from "./en/list.js";
import { roomStrings } from "./en/room.js";
import { settingsStrings } from "./en/settings.js";
import { startStrings } from "./en/start.js";
import { timeStrings } from "./en/time.js";

/**
 * All sentences of the app, in English, by screen. Another language is another folder with the same files and keys. Sentences with parts are functions, and
 * numbers use `plural`, so that a language with other plural forms is possible.
 */
export const strings = {
  ...appStrings,
  ...errorsStrings,
  ...accountStrings,
  ...listStrings,
  ...chatStrings,
  ...linesStrings,
  ...keysStrings,
  ...startStrings,
  ...roomStrings,
  ...settingsStrings,
  ...devicesStrings,
  ...dataStrings,
  ...timeStrings,
} as const;
