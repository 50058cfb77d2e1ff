"""What tools/list says: the promised names and parameters, and what hosts demand of them."""
import json
import os

from client import MODERN, Server, eventually

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS_ON_TOP = {"oneOf", "anyOf", "allOf", "not", "$ref"}
# Inputs that are offered only where a tool needs them.
NARROWED = {"workspace_create": {"network_policy": "service_start", "secrets": "shell_open"},
            "workspace_exec": {"secret_env": "shell_open"}}


def surface():
    with open(f"{HERE}/../agree/contract-surface.json", encoding="utf-8") as text:
        return json.load(text)


def listed(lab, *words, meta=None):
    server = Server(lab, *words)
    server.request(1, "tools/list", meta)
    tools = server.reply()["result"]["tools"]
    assert server.close() == []
    return {tool["name"]: tool for tool in tools}


def profiles():
    promised = surface()
    full = list(promised["mcp_tools"])
    return {**{("--profile", name): tools for name, tools in promised["mcp_profiles"].items()},
            **{("--mode", name): tools for name, tools in promised["mcp_modes"].items()},
            ("--profile", "workspace-full"): full}


def parameters(tool):
    schema = tool["inputSchema"]
    return {name: "required" if name in schema["required"] else value.get("default")
            for name, value in schema["properties"].items()}


def test_profiles(lab):
    """each profile and mode lists exactly its tools, in both eras; workspace-core is the default"""
    for words, names in profiles().items():
        assert list(listed(lab, *words)) == names, words
        assert list(listed(lab, *words, meta={"_meta": MODERN})) == names, words
    core = surface()["mcp_profiles"]["workspace-core"]
    assert list(listed(lab, "--no-project-source")) == core


def test_parameters(lab):
    """each tool has the promised parameters and defaults, and those of ours that are written down"""
    promised = surface()
    tools = listed(lab, "--profile", "workspace-full")
    for name, wanted in promised["mcp_tools"].items():
        wanted = {**wanted, **promised["mcp_additions"].get(name, {})}
        for optional in promised["mcp_optional"].get(name, []):
            wanted[optional] = None
        # An absent list is an empty one, an absent switch is off.
        got = parameters(tools[name])
        assert {key: value or None for key, value in got.items()} == {
            key: value or None for key, value in wanted.items()}, (name, got, wanted)


def test_narrowing(lab):
    """secrets and network are offered only where there are tools for them"""
    full = listed(lab, "--profile", "workspace-full")
    for words, names in profiles().items():
        tools = listed(lab, *words)
        for name, inputs in NARROWED.items():
            if name not in names:
                continue
            for given, needs in inputs.items():
                offered = needs in names or "service_start" in names
                assert (given in tools[name]["inputSchema"]["properties"]) == offered, (
                    words, name, given)
        for name, tool in tools.items():
            hidden = set(full[name]["inputSchema"]["properties"]) - set(
                tool["inputSchema"]["properties"])
            assert hidden <= set(NARROWED.get(name, {})), (words, name, hidden)


def test_hidden_input(lab):
    """an input that the profile does not offer is refused, not ignored"""
    server = Server(lab, "--profile", "workspace-core")
    server.request(1, "tools/call", {"name": "workspace_exec", "arguments": {
        "workspace_id": "x", "command": "true", "secret_env": {"A": "A"}}})
    result = server.reply()["result"]
    assert result["isError"] and "secret_env" in result["content"][0]["text"], result
    assert server.close() == []


def check_schema(schema, path):
    assert schema.get("type") == "object" and not WORDS_ON_TOP & set(schema), (path, schema)
    assert schema["additionalProperties"] is False, path
    for name, value in schema["properties"].items():
        assert value["description"], (path, name)
        assert not isinstance(value.get("type"), list), (path, name)


def test_descriptions(lab):
    """every tool has all that hosts show or decide by, within what they show"""
    for words in profiles():
        for name, tool in listed(lab, *words).items():
            assert len(f"mcp__pyro__{name}") <= 64 and tool["title"], tool
            assert 40 < len(tool["description"]) < 1000, (words, name, tool["description"])
            check_schema(tool["inputSchema"], (words, name))
            assert tool["outputSchema"]["type"] == "object", name
            hints = tool["annotations"]
            assert set(hints) == {"readOnlyHint", "destructiveHint", "idempotentHint",
                                  "openWorldHint"}, name
            # Codex runs nothing else unasked.
            assert hints["destructiveHint"] is False and hints["openWorldHint"] is False, name


def test_mode_texts(lab):
    """a mode says what its tools are for, not what they are in general"""
    core = listed(lab, "--profile", "workspace-core")
    for words in profiles():
        if words[0] != "--mode":
            continue
        tools = listed(lab, *words)
        for name in ("workspace_create", "workspace_exec"):
            assert tools[name]["description"] != core[name]["description"], (words, name)


def test_size(lab):
    """the list of workspace-core costs a model at most 6,000 tokens, counted as 4 bytes each"""
    tools = listed(lab, "--profile", "workspace-core")
    size = len(json.dumps(list(tools.values()), separators=(",", ":")))
    assert size <= 6000 * 4, size


def test_instructions(lab):
    """instructions name tools that there are, and begin with what counts"""
    everything = set(surface()["mcp_tools"])
    for words, names in profiles().items():
        server = Server(lab, *words)
        server.request(1, "server/discover", {"_meta": MODERN})
        text = server.reply()["result"]["instructions"]
        assert server.close() == []
        assert len(text) < 2000 and text.index(". ") < 300, text
        mentioned = {word.strip(".,;()") for word in text.split()} & everything
        assert mentioned and mentioned <= set(names), (words, mentioned - set(names))


def test_network(lab):
    """a model that cannot choose the network is told which one workspaces have"""
    for words, names in profiles().items():
        if "workspace_create" not in names or "service_start" in names:
            continue
        for policy, said, unsaid in ((), "no network", "outbound"), (
                ("--network-policy", "off"), "no network", "outbound"), (
                ("--network-policy", "egress"), "outbound network", "no network"):
            server = Server(lab, *words, *policy)
            server.request(1, "server/discover", {"_meta": MODERN})
            instructions = server.reply()["result"]["instructions"]
            assert server.close() == []
            create = listed(lab, *words, *policy)["workspace_create"]
            assert "network_policy" not in parameters(create), words
            for text in (instructions, create["description"]):
                assert said in text and unsaid not in text, (words, policy, text)
                assert ("--network-policy egress" in text) == (said == "no network"), text


def test_network_default(lab):
    """--network-policy is the default of workspace_create where the model may choose"""
    for words in (("--profile", "workspace-full"), ("--mode", "cold-start")):
        for policy in ("off", "egress", "egress+published-ports"):
            tools = listed(lab, *words, "--network-policy", policy)
            assert parameters(tools["workspace_create"])["network_policy"] == policy, words


def test_network_unknown(lab):
    """a network policy that there is not keeps the server from starting"""
    server = Server(lab, "--network-policy", "all")
    assert server.wait() == 2 and server.rest() == []
    eventually(lambda: b"one of: off, egress, egress+published-ports" in server.err, 120, "a hint")


def test_environment(lab):
    """--environment is what workspace_create runs when it is not told"""
    for words, wanted in (((), "required"), (("--environment", "debian:12-build"),
                                             "debian:12-build")):
        tools = listed(lab, "--profile", "workspace-core", *words)
        assert parameters(tools["workspace_create"])["environment"] == wanted
