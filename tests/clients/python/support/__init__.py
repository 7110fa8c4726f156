"""What the suites share: processes, the binary under test, a plain MCP client, two real platforms."""
