# initialize agrees to each version that has it
> {"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
< {"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2024-11-05","capabilities":{"tools":{}},"serverInfo":{"name":"pyro","title":"pyro","version":"<any>"},"instructions":"<any>"}}
> {"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
< {"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-03-26","...":0}}
> {"jsonrpc":"2.0","id":2,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
< {"jsonrpc":"2.0","id":2,"result":{"protocolVersion":"2025-06-18","...":0}}
> {"jsonrpc":"2.0","id":3,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
< {"jsonrpc":"2.0","id":3,"result":{"protocolVersion":"2025-11-25","...":0}}

# initialize answers an unknown version, and the one without a handshake, with the latest it knows
> {"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2099-01-01","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
< {"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","...":0}}
> {"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2026-07-28","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
< {"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","...":0}}

# initialize without a version is refused
> {"jsonrpc":"2.0","id":0,"method":"initialize"}
< {"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"params.protocolVersion: expected a string"}}
> {"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":7}}
< {"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"<any>"}}

# a host that probes with the modern era may go on with the legacy one
> {"jsonrpc":"2.0","id":"server-discover-probe-1","method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}
< {"jsonrpc":"2.0","id":"server-discover-probe-1","result":{"supportedVersions":["2026-07-28"],"...":0}}
> {"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
< {"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","...":0}}
> {"jsonrpc":"2.0","method":"notifications/initialized"}
> {"jsonrpc":"2.0","id":1,"method":"tools/list"}
< {"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"vm_run","...":0}]}}

# requests are answered also before initialize
> {"jsonrpc":"2.0","id":1,"method":"tools/list"}
< {"jsonrpc":"2.0","id":1,"result":"<any>"}

# every id that is a text or an integer comes back as it was
> {"jsonrpc":"2.0","id":0,"method":"ping"}
< {"jsonrpc":"2.0","id":0,"result":{}}
> {"jsonrpc":"2.0","id":"","method":"ping"}
< {"jsonrpc":"2.0","id":"","result":{}}
> {"jsonrpc":"2.0","id":-9007199254740993,"method":"ping"}
< {"jsonrpc":"2.0","id":-9007199254740993,"result":{}}
> {"jsonrpc":"2.0","id":"5","method":"ping","params":{"_meta":{"progressToken":1}}}
< {"jsonrpc":"2.0","id":"5","result":{}}

# notifications are never answered, nor are answers to questions that nobody asked
> {"jsonrpc":"2.0","method":"notifications/initialized"}
> {"jsonrpc":"2.0","method":"notifications/unheard-of","params":{"a":1}}
> {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}
> {"jsonrpc":"2.0","method":"notifications/cancelled"}
> {"jsonrpc":"2.0","method":"notifications/cancelled","params":[1]}
> {"jsonrpc":"2.0","method":"tools/list"}
> {"jsonrpc":"2.0","id":4,"result":{}}
> {"jsonrpc":"2.0","id":4,"error":{"code":1,"message":"x"}}
> {"jsonrpc":"2.0","id":1,"method":"ping"}
< {"jsonrpc":"2.0","id":1,"result":{}}

# batches are answered in one array, without what has no answer
> [{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":2,"method":"nope"},7]
< [{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"<any>"}},{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"<any>"}}]
> [{"jsonrpc":"2.0","method":"notifications/initialized"}]
> []
< {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"<any>"}}

# methods that are not declared do not exist
> {"jsonrpc":"2.0","id":1,"method":"resources/list"}
< {"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"there is no method 'resources/list'"}}
> {"jsonrpc":"2.0","id":2,"method":"prompts/list","params":{}}
< {"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"<any>"}}
> {"jsonrpc":"2.0","id":3,"method":"logging/setLevel","params":{"level":"debug"}}
< {"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"<any>"}}
> {"jsonrpc":"2.0","id":4,"method":""}
< {"jsonrpc":"2.0","id":4,"error":{"code":-32601,"message":"<any>"}}

# the list of tools has one page
> {"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"x"}}
< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"<any>"}}
> {"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}
< {"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"vm_run","title":"<any>","description":"<any>","inputSchema":{"type":"object","...":0},"outputSchema":{"type":"object","...":0},"annotations":{"readOnlyHint":false,"destructiveHint":false,"idempotentHint":false,"openWorldHint":false}}]}}
