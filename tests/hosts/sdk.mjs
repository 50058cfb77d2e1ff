// One official client, one promise: sdk.mjs CLIENT PROMISE SERVER-COMMAND...
// CLIENT is `v1` (the legacy era), or the client of both eras: `v2`, `v2-auto`, which probes first, or
// `v2-modern`. Ends with status 0 if the promise holds. The clients themselves check every result
// against the tool's output schema.
import assert from "node:assert/strict";
import { Client as LegacyClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as LegacyTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const [who, what, command, ...args] = process.argv.slice(2);
const info = { name: "test", version: "1" };
const modes = { "v2": undefined, "v2-auto": "auto", "v2-modern": { pin: "2026-07-28" } };
const is_legacy = who === "v1";
const client = is_legacy ? new LegacyClient(info)
	: new Client(info, modes[who] && { versionNegotiation: { mode: modes[who] } });
const Transport = is_legacy ? LegacyTransport : StdioClientTransport;

function request(name, params, options) {
	const call = { name, arguments: params };
	return is_legacy ? client.callTool(call, undefined, options) : client.callTool(call, options);
}

// A call that must succeed; returns its structured result.
async function call(name, params, options) {
	const result = await request(name, params, options);
	assert.ok(!result.isError, JSON.stringify(result.content));
	assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
	return result.structuredContent;
}

function run(words, options, more) {
	return call("vm_run", { environment: "debian:12", command: words, ...more }, options);
}

const promises = {
	async list() {
		const { tools } = await client.listTools();
		assert.deepEqual(tools.map((tool) => tool.name), ["vm_run"]);
	},
	async call() {
		const result = await run("echo hello; exit 3");
		assert.equal(result.stdout, "hello\n");
		assert.equal(result.exit_code, 3);
	},
	async progress() {
		const seen = [];
		await run("true", { onprogress: (progress) => seen.push(progress.message) });
		assert.equal(seen[0], "[run] phase=create environment=debian:12");
	},
	async error() {
		const result = await request("vm_run", { environment: "debian:13", command: "true" });
		assert.equal(result.isError, true);
		assert.match(result.content[0].text, /debian:13/);
	},
	async cancel() {
		const stop = new AbortController();
		await assert.rejects(run("sleep 1000", { signal: stop.signal,
			onprogress: (progress) => /execute/.test(progress.message) && stop.abort() },
			{ timeout_seconds: 600 }));
		assert.equal((await run("echo on")).stdout, "on\n");
	},
	async parallel() {
		const results = await Promise.all([1, 2, 3].map((n) => run(`echo ${n}`)));
		assert.deepEqual(results.map((result) => result.stdout), ["1\n", "2\n", "3\n"]);
	},
};

await client.connect(new Transport({ command, args, env: process.env, stderr: "inherit" }));
await client.listTools();
await promises[what]();
const begun = Date.now();
await client.close();
assert.ok(Date.now() - begun < 2000, `closing took ${Date.now() - begun} ms`);
