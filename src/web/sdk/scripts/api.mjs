// Writes the public API of each entry point to api/*.api.md; with --check, fails when a file differs. Both fail when a public member has no doc comment.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Extractor, ExtractorConfig, ExtractorLogLevel } from "@microsoft/api-extractor";

const projectFolder = fileURLToPath(new URL("..", import.meta.url));
const check = process.argv.includes("--check");
const temporary = mkdtempSync(join(tmpdir(), "api-"));
let failed = false;
try {
  for (const entry of ["index", "browser", "node"]) {
    const config = ExtractorConfig.prepare({
      configObject: {
        projectFolder,
        mainEntryPointFilePath: join(projectFolder, `dist/${entry}.d.ts`),
        newlineKind: "lf",
        compiler: { tsconfigFilePath: join(projectFolder, "tsconfig.json") },
        apiReport: {
          enabled: true,
          reportFileName: `${entry}.api.md`,
          reportFolder: join(projectFolder, "api"),
          reportTempFolder: temporary,
          includeForgottenExports: true,
        },
        docModel: { enabled: false },
        dtsRollup: { enabled: false },
        messages: {
          compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
          extractorMessageReporting: {
            default: { logLevel: ExtractorLogLevel.Error },
            // All that is exported is public: the package has no release tags.
            "ae-missing-release-tag": { logLevel: ExtractorLogLevel.None },
            // The main entry point exports every type; the two others export what they are for.
            "ae-forgotten-export": { logLevel: entry === "index" ? ExtractorLogLevel.Error : ExtractorLogLevel.None },
            "ae-unresolved-link": { logLevel: entry === "index" ? ExtractorLogLevel.Error : ExtractorLogLevel.None },
          },
          tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
        },
      },
      packageJsonFullPath: join(projectFolder, "package.json"),
    });
    const result = Extractor.invoke(config, { localBuild: !check, showVerboseMessages: false });
    if (!result.succeeded) failed = true;
    if (check && result.apiReportChanged) console.error(`api/${entry}.api.md differs. Run "npm run api" in src/web/sdk and look at the diff.`);
  }
} finally {
  rmSync(temporary, { recursive: true });
}
process.exitCode = failed ? 1 : 0;
