// A complaint from its registration to its end, by openapi-fetch with the types that openapi-typescript made of the services' OpenAPI
// documents. The test makes them beside this file as intake.ts, handling.ts and callback.ts, and gives addresses and tokens in JOURNEY.

import createClient from "openapi-fetch";
import type { paths as CallbackPaths } from "./callback.js";
import type { paths as HandlingPaths } from "./handling.js";
import type { components, paths as IntakePaths } from "./intake.js";

declare const process: { env: Record<string, string> };
const given = JSON.parse(process.env.JOURNEY!);
const as = (role: string) => ({ Authorization: `Bearer ${given.tokens[role]}` });
const intake = createClient<IntakePaths>({ baseUrl: given.addresses.intake, headers: as("front-end") });
const handling = createClient<HandlingPaths>({ baseUrl: given.addresses.handling, headers: as("handler") });
const callback = createClient<CallbackPaths>({ baseUrl: given.addresses.callback, headers: as("agent") });

const key = () => ({ "Idempotency-Key": crypto.randomUUID() });

function expect(holds: unknown, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

/** The first answer of which it is so. */
async function eventually<Answer>(ask: () => Promise<Answer>, so: (answer: Answer) => boolean): Promise<Answer> {
  const end = performance.now() + given.within * 1000;
  for (;;) {
    const answer = await ask();
    if (so(answer)) return answer;
    expect(performance.now() < end, answer);
    await new Promise((resume) => setTimeout(resume, 100));
  }
}

const refused = await intake.POST("/complaints", { params: { header: key() }, body: { channel: "web", text: " " } });
expect(refused.error?.code === "invalid" && refused.error.pointer === "/text", refused.error);

const body: components["schemas"]["NewComplaint"] = { channel: "app", text: given.text, customer: "Zhang Wei" };
const own = key();
const registered = await intake.POST("/complaints", { params: { header: own }, body });
expect(registered.data && registered.response.headers.get("etag"), registered.error);
const complaint: string = registered.data.id;
expect(registered.response.headers.get("location") === `/complaints/${complaint}`, "location");
const again = await intake.POST("/complaints", { params: { header: own }, body });
expect(again.data?.id === complaint && again.response.headers.get("idempotency-replayed") === "true", again.error);

const path = { complaint };
const step = () => ({ path, header: key() });
const stands = (stage: components["schemas"]["Complaint"]["stage"]) =>
  eventually(() => intake.GET("/complaints/{complaint}", { params: { path } }), ({ data }) => data?.stage === stage);
await intake.POST("/complaints/{complaint}/supplements", { params: step(), body: { text: "The light is red." } });

await eventually(() => handling.GET("/cases/{complaint}", { params: { path } }), ({ data }) => data?.stage === "open");
await handling.POST("/cases/{complaint}/accept", { params: step() });
await handling.POST("/cases/{complaint}/contact", { params: step(), body: { means: "phone" } });
const resolved = await handling.POST("/cases/{complaint}/resolve", {
  params: step(),
  body: { cause: "A worn splice", measures: "Spliced anew", responsible_unit: "Field team 2", told_customer: "phone" },
});
expect(resolved.data?.stage === "resolved", resolved.error);

await stands("being-visited");
await eventually(
  () => callback.POST("/visits/{complaint}/attempts", { params: step(), body: { reached: true, solved: true, satisfaction: 5 } }),
  ({ response }) => response.status === 200,
);
const closed = await stands("closed");
expect(closed.data?.closed_as === "satisfied", closed.data);
const stages = await intake.GET("/complaints/{complaint}/stages", { params: { path } });
expect(stages.data?.items[0]?.stage === "closed", stages.error);
console.log(closed.data.number);
