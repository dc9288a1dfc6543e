// Installs what package.json asks for, and writes package-lock.json without any address; FOLDER=test/react18 for another.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const folder = new URL(`../${process.env.FOLDER ?? "."}/`, import.meta.url);
const path = new URL("package-lock.json", folder);
execFileSync("npm", ["install", ...process.argv.slice(2)], { stdio: "inherit", cwd: folder });
const lock = JSON.parse(readFileSync(path, "utf8"));
for (const entry of Object.values(lock.packages)) {
  delete entry.funding;
  delete entry.resolved;
}
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
