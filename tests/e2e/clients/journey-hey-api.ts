// A complaint from its registration to its end, by the SDK that hey-api made of the one document of all services. Its stages are followed
// as server-sent events meanwhile. The test makes the SDK beside this file as redress/, and gives addresses and tokens in JOURNEY.

import { createClient, createConfig } from "./redress/client/index.js";
import {
  acceptCase,
  contactCustomer,
  followStages,
  readCase,
  readComplaint,
  recordAttempt,
  registerComplaint,
  resolveCase,
  type NewComplaint,
  type Stage,
} from "./redress/index.js";

declare const process: { env: Record<string, string> };
const given = JSON.parse(process.env.JOURNEY!);

/** What the gateway does, where there is none: /intake/complaints is /complaints of intake. */
const direct: typeof fetch = (input, init) => {
  const asked = new Request(input, init);
  const [, service, path] = new URL(asked.url).pathname.match(/^\/([^/]+)(\/.*)$/)!;
  return fetch(new Request(given.addresses[service!] + path, asked));
};
const as = (role: string) => createClient(createConfig({ baseUrl: "http://gateway", auth: given.tokens[role], fetch: direct }));
const [frontEnd, handler, agent] = [as("front-end"), as("handler"), as("agent")];

const headers = () => ({ "Idempotency-Key": crypto.randomUUID() });

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

const refused = await registerComplaint({ client: frontEnd, headers: headers(), body: { channel: "web", text: " " } });
expect(refused.error?.code === "invalid" && refused.error.pointer === "/text", refused.error);

const body: NewComplaint = { channel: "app", text: given.text, customer: "Zhang Wei" };
const own = headers();
const registered = await registerComplaint({ client: frontEnd, headers: own, body });
expect(registered.data && registered.response?.headers.get("etag"), registered.error);
const again = await registerComplaint({ client: frontEnd, headers: own, body });
expect(again.data?.id === registered.data.id, again.error);
const path = { complaint: registered.data.id };

const reached: string[] = [];
const leave = new AbortController();
const { stream } = await followStages({ client: frontEnd, path, signal: leave.signal });
const followed = (async () => {
  for await (const event of stream) {
    const { stage } = event as unknown as Stage; // the document says text, for a stream has no type; what comes was parsed
    reached.push(stage);
    if (stage === "closed") return;
  }
})();

await eventually(() => readCase({ client: handler, path }), ({ data }) => data?.stage === "open");
await acceptCase({ client: handler, path, headers: headers() });
await contactCustomer({ client: handler, path, headers: headers(), body: { means: "phone" } });
const resolved = await resolveCase({
  client: handler,
  path,
  headers: headers(),
  body: { cause: "A worn splice", measures: "Spliced anew", responsible_unit: "Field team 2", told_customer: "phone" },
});
expect(resolved.data?.stage === "resolved", resolved.error);

await eventually(
  () => recordAttempt({ client: agent, path, headers: headers(), body: { reached: true, solved: true, satisfaction: 5 } }),
  ({ response }) => response?.status === 200,
);
await followed;
leave.abort();
expect(reached.includes("in-handling") && reached.includes("resolved"), reached);
const closed = await readComplaint({ client: frontEnd, path });
expect(closed.data?.stage === "closed" && closed.data.closed_as === "satisfied", closed.error ?? closed.data);
console.log(closed.data.number);
