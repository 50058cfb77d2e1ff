# what is no JSON, or no message, is told so
> not json
< {"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"<any>"}}
> {"jsonrpc":"2.0","id":1,"method":"ping"
< {"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"<any>"}}
> "ping"
< {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"<any>"}}
> {}
< {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"<any>"}}
> {"jsonrpc":"1.0","id":1,"method":"ping"}
< {"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"<any>"}}
> {"id":1,"method":"ping"}
< {"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"<any>"}}
> {"jsonrpc":"2.0","id":1,"method":7}
< {"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"<any>"}}
> {"jsonrpc":"2.0","id":null,"method":"ping"}
< {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"<any>"}}
> {"jsonrpc":"2.0","id":1.5,"method":"ping"}
< {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"<any>"}}
> {"jsonrpc":"2.0","id":[1],"method":"ping"}
< {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"<any>"}}
> {"jsonrpc":"2.0","id":1,"method":"ping","params":[]}
< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"<any>"}}

# half a character, where a string of UTF-16 was cut, does not keep a call from its answer
> {"jsonrpc":"2.0","id":"\udc00\ud83d\ude00\\ud800\uD83D","method":"ping"}
< {"jsonrpc":"2.0","id":"\ufffd\ud83d\ude00\\ud800\ufffd","result":{}}

# a call of what is no tool, or without an object of arguments, is a protocol error
> {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"vm_rum","arguments":{}}}
< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"there is no tool 'vm_rum' in vm-run"}}
> {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"vm_create","arguments":{}}}
< {"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"there is no tool 'vm_create' in vm-run; pyro mcp serve --profile workspace-full has it"}}
> {"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"arguments":{}}}
< {"jsonrpc":"2.0","id":3,"error":{"code":-32602,"message":"params.name: expected a string"}}
> {"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":1}}
< {"jsonrpc":"2.0","id":4,"error":{"code":-32602,"message":"<any>"}}
> {"jsonrpc":"2.0","id":5,"method":"tools/call"}
< {"jsonrpc":"2.0","id":5,"error":{"code":-32602,"message":"<any>"}}
> {"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"vm_run","arguments":[]}}
< {"jsonrpc":"2.0","id":6,"error":{"code":-32602,"message":"params.arguments: expected an object"}}

# a number without a fraction is an integer, however it is written
> {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"vm_run","arguments":{"environment":"debian:12","command":"true","mem_mib":1.0}}}
< {"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[{"type":"text","text":"arguments.mem_mib: 1 is outside 128 to 32768"}],"_meta":"<any>"}}
> {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"vm_run","arguments":{"environment":"debian:12","command":"true","mem_mib":512.5}}}
< {"jsonrpc":"2.0","id":2,"result":{"isError":true,"content":[{"type":"text","text":"arguments.mem_mib: expected an integer, got number"}],"_meta":"<any>"}}
> {"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"vm_run","arguments":{"environment":"debian:12","command":"true","mem_mib":1e300}}}
< {"jsonrpc":"2.0","id":3,"result":{"isError":true,"content":[{"type":"text","text":"arguments.mem_mib: expected an integer, got number"}],"_meta":"<any>"}}

# bad values of arguments are errors that the model reads
> {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"vm_run"}}
< {"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[{"type":"text","text":"arguments.environment is missing\nhint: environment: Environment to boot, such as debian:12"}],"_meta":{"pyro/error":{"code":"invalid_argument","message":"arguments.environment is missing","hint":"environment: Environment to boot, such as debian:12","retryable":false}}}}
> {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"vm_run","arguments":{"environment":"debian:12","comand":"true"}}}
< {"jsonrpc":"2.0","id":2,"result":{"isError":true,"content":[{"type":"text","text":"arguments.comand: there is no such argument\nhint: did you mean 'command'?"}],"_meta":"<any>"}}
> {"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"vm_run","arguments":{"environment":"debian:12","command":"true","timeout_seconds":"30"}}}
< {"jsonrpc":"2.0","id":3,"result":{"isError":true,"content":[{"type":"text","text":"arguments.timeout_seconds: expected an integer, got string"}],"_meta":"<any>"}}
> {"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"vm_run","arguments":{"environment":"debian:12","command":"true","mem_mib":0}}}
< {"jsonrpc":"2.0","id":4,"result":{"isError":true,"content":[{"type":"text","text":"arguments.mem_mib: 0 is outside 128 to 32768"}],"_meta":"<any>"}}
> {"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"vm_run","arguments":{"image":"debian:12","command":"true"}}}
< {"jsonrpc":"2.0","id":4,"result":{"isError":true,"content":[{"type":"text","text":"arguments.image: there is no such argument\nhint: the arguments are environment, command, vcpu_count, mem_mib, timeout_seconds, ttl_seconds, network, allow_host_compat"}],"_meta":"<any>"}}
> {"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"vm_run","arguments":{"environment":"debian:12","command":[]}}}
< {"jsonrpc":"2.0","id":5,"result":{"isError":true,"content":"<any>","_meta":"<any>"}}
