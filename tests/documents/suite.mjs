// Finds all fenced blocks of the documents and runs each as the table below says. A block without a row fails, and so does a row without a block.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { startPatienceMs } from "../web/ready.mjs";

const [work, only] = process.argv.slice(2);
const top = resolve(import.meta.dirname, "../..");
const configuration = process.env.CONFIGURATION ?? "Release";
const built = (project, name) => join(top, "src", project, "bin", configuration, "net10.0", name);
const llms = "src/SecureMessaging.Server/Doors/Web/llms.txt";
const written = "http://127.0.0.1:5080"; // the server's address in the documents

// 1. The blocks. API reports are generated lists of declarations.
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.md", ":!*.api.md", llms], { cwd: top, encoding: "utf8" })
  .trim()
  .split("\n");
const blocks = files.flatMap((file) => {
  const text = readFileSync(join(top, file), "utf8");
  return [...text.matchAll(/^```([^\n]*)\n(.*?)^```$/gms)].map((match) => ({
    file,
    language: match[1],
    code: match[2],
    where: `${file}:${text.slice(0, match.index).split("\n").length}`,
  }));
});
if (files.some((file) => (readFileSync(join(top, file), "utf8").match(/^```/gm) ?? []).length % 2)) throw new Error("a block has no end");

// 2. How to run them: the first row that matches. Each story runs on its own server, in the order of the page.
const table = [
  { file: llms, language: /^(sh|js|python)$/, story: "llms.txt" },
  { file: llms, language: /^ts$/, story: "llms.txt: TypeScript", run: typescript },
  { file: llms, language: /^csharp$/, story: "llms.txt: C#", run: csharp },
  { file: "src/web/sdk/README.md", language: /^(js|ts)$/, story: "the TypeScript SDK", run: typescript },
  { file: "src/web/sdk/src/client/README.md", language: /^ts$/, story: "the TypeScript SDK in a server process", run: compile },
  { file: "src/SecureMessaging.Client/README.md", language: /^csharp$/, story: "the .NET SDK", run: csharp },
  { file: "README.md", language: /^sh$/, includes: "alias secmsg", story: "two people in terminals", run: secmsg },
  { file: "src/SecureMessaging.Cli/README.md", language: /^sh$/, story: "secmsg", run: secmsg },
  { file: "deploy/README.md", language: /^sh$/, includes: "secrets/redis_password", story: "files for the containers", run: containers },
  { file: "tests/README.md", language: /^csharp$/, story: "a test as tests/README.md shows it", run: testClass },
  // Commands that start servers or suites. Other suites run them; here only their syntax and the existence of their files are checked.
  { language: /^sh$/, story: "commands", run: commands },
  // A diagram, or the output of a program.
  { language: /^(mermaid|text)$/, story: "nothing to run", run: async () => {} },
];

// 3. The runners.
const running = new Set();

function start(command, args, options = {}) {
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    ...options,
    env: { ...process.env, DOTNET_NOLOGO: "1", ...options.env },
  });
  running.add(child);
  child.said = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (data) => {
      child.said += data;
    });
  child.ended = new Promise((done) =>
    child.on("close", (code, signal) => {
      running.delete(child);
      done(code ?? signal);
    }),
  );
  return child;
}

function stop(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    /* it has ended already */
  }
}
process.on("exit", () => running.forEach(stop));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

async function run(command, args, options = {}) {
  const child = start(command, args, options);
  const timer = setTimeout(() => stop(child), options.timeout ?? 240_000);
  const code = await child.ended;
  clearTimeout(timer);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${code}\n${child.said.slice(-4000)}`);
  return child.said;
}

/** Waits for the output of a program that does not end by itself. */
async function says(child, pattern, seconds = startPatienceMs / 1000) {
  for (let tenth = 0; tenth < seconds * 10; tenth++) {
    if (pattern.test(child.said)) return;
    if (!running.has(child)) break;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`${pattern} was not printed:\n${child.said.slice(-4000)}`);
}

async function server(folder) {
  const port = await new Promise((done) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port: free } = probe.address();
      probe.close(() => done(free));
    });
  });
  const origin = `http://127.0.0.1:${port}`;
  const child = start("dotnet", [
    built("SecureMessaging.Server", "SecureMessaging.Server.dll"),
    `--urls=${origin}`,
    `--Server:DataDirectory=${join(folder, "server")}`,
    "--Management:Url=",
  ]);
  await says(child, /Now listening on/);
  return { origin, child };
}

const at = (origin, code) => code.replaceAll(written, origin);

async function script(story, folder, origin) {
  const parts = story.blocks.map(({ language, code }, index) => {
    if (language === "sh") return code;
    const file = join(folder, `example-${index}.${language === "js" ? "mjs" : "py"}`);
    writeFileSync(file, code);
    return language === "js" ? `timeout 60 node ${file}` : `timeout 60 python3 -I ${file}`;
  });
  symlinkSync(join(top, "tests/rest/node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "all.sh"), `set -euo pipefail\n${parts.join("\n")}`);
  await run("bash", ["-x", "all.sh"], { cwd: folder, env: { SERVER: origin } });
}

/** Compiles the blocks as files of one folder. Returns their names. */
async function compile(story, folder, origin) {
  symlinkSync(join(top, "src/web/node_modules"), join(folder, "node_modules"));
  const names = story.blocks.map(({ language, code }, index) => {
    const name = code.match(/^\/\/ ([\w-]+\.m?[jt]s)/)?.[1] ?? `example-${index}.${language === "js" ? "mjs" : "mts"}`;
    writeFileSync(join(folder, name), at(origin, code));
    return name;
  });
  const options = [
    "--strict",
    "--allowJs",
    "--checkJs",
    "--noUncheckedIndexedAccess",
    "--target",
    "es2022",
    "--module",
    "nodenext",
    "--lib",
    "es2023,dom,dom.iterable",
    "--types",
    "node",
    "--skipLibCheck",
  ];
  await run("node", [join(top, "src/web/node_modules/typescript/bin/tsc"), ...options, "--outDir", "out", ...names], { cwd: folder });
  return names;
}

async function typescript(story, folder, origin) {
  const names = await compile(story, folder, origin);
  // In the order of the page; each keeps running. Programs for browsers are skipped: tests/web/tabs.sh runs them in one.
  const programs = [];
  for (const [index, { code }] of story.blocks.entries()) {
    if (code.includes('sdk/browser"')) continue;
    const program = start("node", [`out/${names[index].replace(".mts", ".mjs")}`], { cwd: folder });
    programs.push(program);
    await Promise.race([program.ended, new Promise((done) => setTimeout(done, 5_000))]);
  }
  await says(programs[0], /Hello (Ben|Finn)/);
  for (const program of programs) if (!running.has(program) && (await program.ended) !== 0) throw new Error(program.said);
  programs.forEach(stop);
}

const project = (folder, content) => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "Example.csproj"),
    `<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><TargetFramework>net10.0</TargetFramework><NuGetAudit>false</NuGetAudit>${content}</Project>`,
  );
  // Like a reader's own project: the settings of this repository do not apply.
  for (const name of ["Directory.Build.props", "Directory.Packages.props"]) writeFileSync(join(folder, name), "<Project />");
};

async function csharp(story, folder, origin) {
  for (const [index, { code }] of story.blocks.entries()) {
    const own = join(folder, `${index}`);
    project(
      own,
      `<OutputType>Exe</OutputType><Nullable>enable</Nullable><ImplicitUsings>enable</ImplicitUsings>
      <TreatWarningsAsErrors>true</TreatWarningsAsErrors></PropertyGroup>
      <ItemGroup><ProjectReference Include="${join(top, "src/SecureMessaging.Client/SecureMessaging.Client.csproj")}" /></ItemGroup>`,
    );
    writeFileSync(join(own, "Program.cs"), at(origin, code));
    await run("dotnet", ["build", own, "-c", configuration, "-v", "quiet", "-nologo"], { cwd: own });
    const program = start("dotnet", [`bin/${configuration}/net10.0/Example.dll`], { cwd: own });
    await says(program, /hello/);
    stop(program);
  }
}

async function testClass(story, folder) {
  const bin = join(top, "tests/SecureMessaging.Tests/bin", configuration, "net10.0");
  project(
    folder,
    `<Nullable>enable</Nullable><ImplicitUsings>enable</ImplicitUsings></PropertyGroup>
    <ItemGroup><FrameworkReference Include="Microsoft.AspNetCore.App" /><Reference Include="${bin}/xunit*.dll;${bin}/SecureMessaging*.dll" /></ItemGroup>
    <ItemGroup><Using Include="Xunit" /><Using Include="SecureMessaging.Protocol" /><Using Include="SecureMessaging.Tests.Harness" /></ItemGroup>`,
  );
  writeFileSync(join(folder, "ThingTests.cs"), story.blocks.map((block) => block.code).join("\n"));
  await run("dotnet", ["build", folder, "-v", "quiet", "-nologo"], { cwd: folder });
}

/** Input for prompts comes from the environment and from earlier output. A chat gets one line. */
async function secmsg(story, folder, origin) {
  const prelude = `set -euo pipefail; shopt -s expand_aliases
    real() { dotnet ${built("SecureMessaging.Cli", "secmsg.dll")} --server ${origin} "$@"; }
    typed() {
      case " $* " in
        *' create '*) real "$@" | tee created; tail -n 1 created | grep -o 'secmsg-.*' >invite ;;
        *' join '*) real "\${@:1:2}" join <invite || real "\${@:1:2}" join "$(cat invite)" ;;
        *' chat '*) echo 'hello from the document' | timeout 60 dotnet ${built("SecureMessaging.Cli", "secmsg.dll")} --server ${origin} "$@" --exit-on-eof ;;
        *) real "$@" ;;
      esac
    }\n`;
  const code = story.blocks
    .map((block) => block.code)
    .join("\n")
    .replace(/^alias secmsg=.*$/gm, "alias secmsg=typed");
  writeFileSync(join(folder, "all.sh"), prelude + code);
  await run("bash", ["-x", "all.sh"], { cwd: folder, env: { SECMSG_PASSWORD: "a long enough password", XDG_DATA_HOME: join(folder, "state") } });
}

/** Runs in a copy of deploy/, with certificate files like those of Let's Encrypt: links to another directory. */
async function containers(story, folder) {
  const live = join(folder, "letsencrypt/live/chat.example.org");
  const code = story.blocks
    .map((block) => block.code)
    .join("\n")
    .replaceAll("/etc/letsencrypt", join(folder, "letsencrypt"));
  writeFileSync(
    join(folder, "all.sh"),
    `set -euo pipefail
    mkdir -p ${live} ${folder}/letsencrypt/archive/chat.example.org
    for name in fullchain privkey; do
      echo $name >${folder}/letsencrypt/archive/chat.example.org/\${name}1.pem
      ln -s ../../archive/chat.example.org/\${name}1.pem ${live}/$name.pem
    done
    cp -r ${join(top, "deploy")} deploy
    (${code}
    )
    # All files that compose.yaml mounts exist and are no links.
    cd deploy
    for file in tls/fullchain.pem tls/privkey.pem secrets/postgres_password secrets/redis_password; do [[ -s $file && ! -L $file ]] || exit 1; done
    [[ $(stat -c %a secrets) == 700 && $(stat -c %a tls) == 700 ]]`,
  );
  await run("bash", ["-x", "all.sh"], { cwd: folder });
}

async function commands(story, folder) {
  for (const { code } of story.blocks) {
    writeFileSync(join(folder, "block.sh"), code);
    await run("bash", ["-n", "block.sh"], { cwd: folder });
    for (const [, path] of code.matchAll(/(?:^|\s)((?:src|tests|deploy|db)\/[\w./-]+)/gm)) {
      execFileSync("test", ["-e", join(top, path)]);
      if (code.includes(`--project ${path}`)) execFileSync("bash", ["-c", `ls ${join(top, path)}/*.csproj`]);
    }
  }
}

// 4. The run.
let passed = 0;
let failed = 0;
const check = async (what, act) => {
  try {
    await act();
    passed++;
    console.log(`ok      ${what}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${what}: ${error.message}`);
  }
};
const stories = new Map();
for (const block of blocks) {
  const row = table.find(
    ({ file = block.file, language, includes = "" }) => file === block.file && language.test(block.language) && block.code.includes(includes),
  );
  if (!row)
    await check(`${block.where} (${block.language || "without a language"})`, () => {
      throw new Error("no row of the table matches");
    });
  else stories.set(row, [...(stories.get(row) ?? []), block]);
}
for (const [index, row] of table.entries()) {
  if (only && !new RegExp(only).test(row.story)) continue;
  await check(`${row.story} (${stories.get(row)?.length ?? 0} blocks)`, async () => {
    if (!stories.has(row)) throw new Error("no block matches this row");
    const folder = join(work, `${index}`);
    mkdirSync(folder);
    const needed = ![commands, containers, testClass].includes(row.run) && row.story !== "nothing to run" ? await server(folder) : undefined;
    try {
      await (row.run ?? script)({ blocks: stories.get(row) }, folder, needed?.origin);
    } finally {
      if (needed) stop(needed.child);
    }
  });
}
if (!only)
  await check("test vectors are what their generator writes", () => {
    const folder = join(work, "vectors");
    mkdirSync(folder);
    const vectors = join(top, "tests/trust-vectors");
    execFileSync("node", [join(vectors, "generate.mjs"), folder]);
    const kept = readdirSync(vectors).filter((name) => name.endsWith(".json"));
    if (kept.join() !== readdirSync(folder).join()) throw new Error(`tests/trust-vectors has ${kept.join(", ")}`);
    for (const name of kept)
      if (readFileSync(join(folder, name), "utf8") !== readFileSync(join(vectors, name), "utf8")) throw new Error(`${name} differs: run generate.mjs`);
  });
if (!only)
  await check("the README and the threat model name attacks that exist, and the README all of them", () => {
    const rowsOf = (file, heading) => {
      const text = readFileSync(join(top, file), "utf8").split(`${heading}\n`)[1]?.split("\n## ")[0];
      if (!text) throw new Error(`${file} has no part "${heading}"`);
      return text.split("\n").filter((line) => line.startsWith("|"));
    };
    const namesIn = (file, heading) => new Set(rowsOf(file, heading).flatMap((row) => [...row.matchAll(/`([a-z]+(?:-[a-z]+)*)`/g)].map((match) => match[1])));
    const attacks = new Set(rowsOf("tests/adversary/README.md", "## The attacks").flatMap((row) => /^\| `([^`]+)`/.exec(row)?.[1] ?? []));
    const inReadme = namesIn("README.md", "### What an attacker who lies can do");
    const named = new Set([...inReadme, ...namesIn(".github/SECURITY.md", "## Threat model")].filter((name) => name !== "http"));
    const unknown = [...named].filter((name) => !attacks.has(name));
    const missing = [...attacks].filter((name) => !inReadme.has(name) && !name.startsWith("honest"));
    if (unknown.length + missing.length > 0) throw new Error(`not in tests/adversary: ${unknown.join(", ")}; not in the README: ${missing.join(", ")}`);
  });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
