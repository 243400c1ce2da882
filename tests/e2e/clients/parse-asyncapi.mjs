// For each AsyncAPI document that is named: its title, its messages, and what @asyncapi/parser has against it, one JSON line each.

import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const WARNING = 1; // 0 is an error; 2 and 3 are tips, such as a newer version of AsyncAPI
const parser = new Parser();
for (const name of process.argv.slice(2)) {
  const { document, diagnostics } = await parser.parse(await readFile(name, "utf8"), { source: name });
  const against = diagnostics.filter(({ severity }) => severity <= WARNING).map((each) => `${each.path.join("/")}: ${each.message}`);
  console.log(JSON.stringify({ title: document?.info().title(), messages: document?.allMessages().all().map((each) => each.id()), against }));
}
