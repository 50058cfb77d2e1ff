// Drives the server with the official clients: that of the legacy era, and that of the modern one, as
// it comes, probing first, and modern only. argv: the server's command.
import assert from "node:assert/strict";
import { Client as LegacyClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as LegacyTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const [command, ...args] = process.argv.slice(2);
const info = { name: "test", version: "1" };
const clients = {
	"sdk 1": () => [new LegacyClient(info), LegacyTransport],
	"sdk 2": () => [new Client(info), StdioClientTransport],
	"sdk 2, probing": () => [
		new Client(info, { versionNegotiation: { mode: "auto" } }), StdioClientTransport],
	"sdk 2, modern": () => [
		new Client(info, { versionNegotiation: { mode: { pin: "2026-07-28" } } }),
		StdioClientTransport],
};

function run(client, words, options, more) {
	const params = { name: "vm_run", arguments: {
		environment: "debian:12", command: words, ...more } };
	return client instanceof LegacyClient ? client.callTool(params, undefined, options)
		: client.callTool(params, options);
}

const promises = {
	"lists the tool": async (client) => {
		const { tools } = await client.listTools();
		assert.deepEqual(tools.map((tool) => tool.name), ["vm_run"]);
	},
	"gets a result that fits the schema, and progress": async (client) => {
		const seen = [];
		const result = await run(client, "echo hello; exit 3",
			{ onprogress: (progress) => seen.push(progress.message) });
		assert.equal(result.structuredContent.stdout, "hello\n");
		assert.equal(result.structuredContent.exit_code, 3);
		assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
		assert.equal(seen[0], "[run] phase=create environment=debian:12");
	},
	"gets the error's own text": async (client) => {
		const result = await run(client, "true", undefined, { environment: "debian:13" });
		assert.equal(result.isError, true);
		assert.match(result.content[0].text, /debian:13/);
	},
	"cancels a call and goes on": async (client) => {
		const stop = new AbortController();
		const call = run(client, "sleep 1000", { signal: stop.signal,
			onprogress: (progress) => /execute/.test(progress.message) && stop.abort() },
			{ timeout_seconds: 600 });
		await assert.rejects(call);
		assert.equal((await run(client, "echo on")).structuredContent.stdout, "on\n");
	},
	"runs calls side by side": async (client) => {
		const results = await Promise.all([1, 2, 3].map((n) => run(client, `echo ${n}`)));
		assert.deepEqual(results.map((r) => r.structuredContent.stdout), ["1\n", "2\n", "3\n"]);
	},
};

let count = 0, failed = 0;
for (const [who, make] of Object.entries(clients)) {
	const [client, Transport] = make();
	await client.connect(new Transport({ command, args, env: process.env, stderr: "inherit" }));
	for (const [what, check] of Object.entries(promises)) {
		let outcome = "ok";
		try {
			await check(client);
		} catch (error) {
			console.log(`# ${String(error.stack).replaceAll("\n", "\n# ")}`);
			outcome = "not ok";
			failed++;
		}
		console.log(`${outcome} ${++count} - ${who}: ${what}`);
	}
	const begun = Date.now();
	await client.close();
	const seconds = (Date.now() - begun) / 1000;
	console.log(`${seconds < 2 ? "ok" : "not ok"} ${++count} - ${who}: closes in time`);
	failed += seconds < 2 ? 0 : 1;
}
console.log(`1..${count}\n${count - failed} passed, ${failed} failed, 0 skipped`);
process.exit(failed ? 1 : 0);
