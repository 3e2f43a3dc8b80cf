/** The user agent's own words about itself, in browsers that have them. */
interface Brands {
  brands?: { brand: string }[];
  platform?: string;
}

const browsers: [RegExp, string][] = [
  [/\bEdg(?:e|A|iOS)?\//, "Edge"],
  [/\bOPR\//, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\b(?:Firefox|FxiOS)\//, "Firefox"],
  [/\b(?:Chrome|CriOS|HeadlessChrome)\//, "Chrome"],
  [/\bSafari\//, "Safari"],
];

const systems: [RegExp, string][] = [
  [/\biPhone\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bAndroid\b/, "Android"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b|\bMacintosh\b/, "Mac"],
  [/\bLinux\b/, "Linux"],
];

const known = ["Brave", "Vivaldi", "Opera", "Microsoft Edge", "Google Chrome"];

/** What to call this device until a person names it: the browser and the system, for example `Firefox on Linux`. It leaves the device only encrypted. */
export function deviceName(userAgent: string, about: Brands = {}): string {
  const brand = known.find((name) => about.brands?.some((each) => each.brand === name))?.replace(/^(?:Microsoft|Google) /, "");
  const browser = brand ?? browsers.find(([pattern]) => pattern.test(userAgent))?.[1] ?? "Browser";
  const system = systems.find(([pattern]) => pattern.test(userAgent))?.[1];
  return system === undefined ? browser : `${browser} on ${system}`;
}

export const thisDeviceName = (): string => deviceName(navigator.userAgent, (navigator as { userAgentData?: Brands }).userAgentData);
