# server/discover says what is there
> {"jsonrpc":"2.0","id":"d","method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"}}}}
< {"jsonrpc":"2.0","id":"d","result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"instructions":"<any>","ttlMs":300000,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"pyro","title":"pyro","version":"<any>"}}}}

# tools/list may be cached, and needs no handshake
> {"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}
< {"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","tools":[{"name":"vm_run","...":0}],"ttlMs":300000,"cacheScope":"private","_meta":"<any>"}}

# what the claim lacks is refused
> {"jsonrpc":"2.0","id":1,"method":"server/discover"}
< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"<any>"}}
> {"jsonrpc":"2.0","id":2,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}
< {"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"<any>"}}
> {"jsonrpc":"2.0","id":3,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/clientCapabilities":{}}}}
< {"jsonrpc":"2.0","id":3,"error":{"code":-32602,"message":"<any>"}}
> {"jsonrpc":"2.0","id":4,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":1,"io.modelcontextprotocol/clientCapabilities":{}}}}
< {"jsonrpc":"2.0","id":4,"error":{"code":-32602,"message":"<any>"}}
> {"jsonrpc":"2.0","id":5,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":[]}}}
< {"jsonrpc":"2.0","id":5,"error":{"code":-32602,"message":"<any>"}}

# another version is refused, with the one that is spoken
> {"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2027-01-01","io.modelcontextprotocol/clientCapabilities":{}}}}
< {"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"<any>","data":{"supported":["2026-07-28"],"requested":"2027-01-01"}}}

# methods of the legacy era, and those that are not declared, do not exist
> {"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}
< {"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"<any>"}}
> {"jsonrpc":"2.0","id":2,"method":"initialize","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}
< {"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"<any>"}}
> {"jsonrpc":"2.0","id":3,"method":"subscriptions/listen","params":{"notifications":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}
< {"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"<any>"}}

# bad arguments are a result with the server's name on it
> {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"vm_run","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}
< {"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","isError":true,"content":"<any>","_meta":{"io.modelcontextprotocol/serverInfo":"<any>","pyro/error":{"code":"invalid_argument","...":0}}}}
