// SPDX-License-Identifier: GPL-3.0-or-later
// Prints the Khronos glTF validator's report on a file as JSON: node gltf_validate.mjs FILE (NODE_PATH holds gltf-validator).
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const validator = createRequire(import.meta.url)("gltf-validator");
const report = await validator.validateBytes(new Uint8Array(readFileSync(process.argv[2])));
process.stdout.write(JSON.stringify(report));
