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

function run(id, command, options) {
	return call("workspace_exec", { workspace_id: id, command, timeout_seconds: 600 }, options);
}

// Runs what is given with a new workspace, which is gone afterwards.
async function within(body) {
	const { workspace_id } = await call("workspace_create", { environment: "debian:12" });
	await body(workspace_id);
	assert.equal((await call("workspace_delete", { workspace_id })).deleted, true);
}

// Waits until LONG has begun.
const LONG = "touch begun; sleep 1000";
const begun = (id) => run(id, "until [ -e begun ]; do sleep 0.05; done");

const promises = {
	async list() {
		for (const tool of (await client.listTools()).tools) {
			assert.ok(tool.title && tool.description && tool.outputSchema, tool.name);
			assert.equal(Object.keys(tool.annotations).length, 4, tool.name);
			for (const [name, input] of Object.entries(tool.inputSchema.properties))
				assert.ok(input.description, `${tool.name}: ${name}`);
		}
	},
	call: () => within(async (id) => {
		const ran = await run(id, "echo hello; exit 3");
		assert.equal(ran.stdout, "hello\n");
		assert.equal(ran.exit_code, 3);
		await call("workspace_file_write", { workspace_id: id, path: "a", text: "b\n" });
		assert.match((await call("workspace_diff", { workspace_id: id })).patch, /^\+b$/m);
		assert.equal((await call("workspace_status", { workspace_id: id })).command_count, 1);
	}),
	async progress() {
		const seen = [];
		const options = { onprogress: (progress) => seen.push(progress) };
		await call("vm_run", { environment: "debian:12", command: "true" }, options);
		assert.equal(seen[0].message, "[run] phase=create environment=debian:12");
		assert.ok(seen.every((one, i) => i === 0 || one.progress > seen[i - 1].progress));
	},
	async error() {
		const result = await request("workspace_exec", { workspace_id: "none", command: "true" });
		assert.equal(result.isError, true);
		assert.match(result.content[0].text, /'none'/);
	},
	cancel: () => within(async (id) => {
		const stop = new AbortController();
		const rejected = assert.rejects(run(id, LONG, { signal: stop.signal }));
		await begun(id);
		stop.abort();
		await rejected;
		assert.equal((await run(id, "echo on")).stdout, "on\n");
	}),
	parallel: () => within(async (id) => {
		const all = await Promise.all([1, 2, 3].map((n) => run(id, `sleep 1; echo ${n}`)));
		assert.deepEqual(all.map((one) => one.stdout), ["1\n", "2\n", "3\n"]);
	}),
	async leave() {
		const { workspace_id } = await call("workspace_create", { environment: "debian:12" });
		run(workspace_id, LONG).catch(() => {});
		await begun(workspace_id);
	},
};

await client.connect(new Transport({ command, args, env: process.env, stderr: "inherit" }));
await client.listTools();
await promises[what]();
const closing = Date.now();
await client.close();
assert.ok(Date.now() - closing < 2000, `closing took ${Date.now() - closing} ms`);
process.exit(0);
