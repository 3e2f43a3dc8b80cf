import { expect, test } from "./people.js";

test("any text is shown as text", async ({ person }) => {
  const [anna, ben] = [await person("anna"), await person("ben")];
  await ben.startWith(anna.name);
  await anna.open(ben.name);
  const html = "<img src=x onerror=\"document.title='broken in'\"> <script>document.title='broken in'</script>";
  await ben.write(html);
  await anna.sees(html);
  expect(await anna.log.locator("img").count()).toBe(0);
  expect(await anna.page.title()).not.toContain("broken in");

  await ben.write("javascript:alert(1) http://user@evil.example/ https://example.org/x");
  await anna.sees("javascript:alert(1)");
  const links = anna.log.getByRole("article").last().getByRole("link");
  await expect(links).toHaveCount(1);
  await expect(links).toHaveAttribute("href", "https://example.org/x");
  await expect(links).toHaveAttribute("rel", "noopener noreferrer");

  await ben.write("photo\u202Egnp.exe");
  await anna.sees("photognp.exe");
  await ben.write("\u200B\u2060\u200D");
  await anna.sees("Empty message");

  const long = Array.from({ length: 200 }, (_, line) => `line ${line}`).join("\n");
  await ben.write(long);
  await anna.log.getByRole("button", { name: "Show more" }).click();
  await anna.sees("line 199");

  await ben.write("W".repeat(3_000));
  // Anna's view is at the long message, so the end needs a click.
  await anna.page.getByRole("button", { name: "1 new message" }).click();
  await expect(anna.log.getByRole("article").last()).toContainText("WWW");
  expect(await anna.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
});
