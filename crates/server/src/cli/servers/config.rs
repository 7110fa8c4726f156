//! What to paste into MCP clients.

use serde_json::{Value, json};

use crate::cli::{
    client::Answer,
    failure::{Failure, Result},
    screen::{Screen, shell_word},
};

/// Prints the configuration of a client; with `--json` the JSON alone.
pub fn print(screen: &Screen, answer: &Answer, client: &str) -> Result {
    let server = answer.value()?;
    let text = |field: &str| server.get(field).and_then(Value::as_str);
    let id = text("serverId").unwrap_or_default();
    let Some(url) = text("accessUrl") else {
        let sentence = "this server shows no access URL: its token has ended, or the node does not keep tokens";
        return Err(Failure::refused(sentence).with_next(format!("amalgam servers rotate-token {id} prints a new one; the old one ends")));
    };
    let name = entry_name(text("name").unwrap_or_default(), id);
    let config = match client {
        "vscode" => json!({ "servers": { &name: { "type": "http", "url": url } } }),
        "cursor" => json!({ "mcpServers": { &name: { "url": url } } }),
        _ => json!({ "mcpServers": { &name: { "type": "http", "url": url } } }),
    };
    let config = serde_json::to_string_pretty(&config).unwrap_or_default();
    if screen.json {
        return screen.line(&config);
    }
    match client {
        "vscode" => screen.line("VS Code: .vscode/mcp.json, or the command \"MCP: Open User Configuration\":\n\n")?,
        "cursor" => screen.line("Cursor: ~/.cursor/mcp.json, or .cursor/mcp.json in a project:\n\n")?,
        _ => {
            let command = format!("claude mcp add --transport http {name} {}", shell_word(url));
            screen.line(&format!("Claude Code, in a shell:\n\n{command}\n\nor .mcp.json in a project:\n\n"))?;
        }
    }
    screen.line(&config)?;
    if client == "claude" {
        screen.line(&format!("\nClaude Desktop and claude.ai connect from the vendor's network and need a public https address (--public-url):\nSettings, Connectors, Add custom connector, with this address:\n\n{url}"))?;
    }
    screen.line("\nThe address holds the server's token: whoever has it can use the server.")
}

/// Clients take letters, digits, `-` and `_` in the names of servers.
fn entry_name(name: &str, id: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            'a'..='z' | '0'..='9' | '_' => slug.push(c),
            'A'..='Z' => slug.push(c.to_ascii_lowercase()),
            _ if !slug.ends_with('-') && !slug.is_empty() => slug.push('-'),
            _ => {}
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { id.to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::entry_name;

    #[test]
    fn entry_names_are_what_clients_take() {
        assert_eq!(entry_name("My server", "x"), "my-server");
        assert_eq!(entry_name("été", "server-a1b2c3d4"), "t");
        assert_eq!(entry_name("日本", "server-a1b2c3d4"), "server-a1b2c3d4");
        assert_eq!(entry_name("a - b-", "x"), "a-b");
    }
}
