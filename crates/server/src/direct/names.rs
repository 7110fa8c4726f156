//! The names under which things of several connectors stand in one list: tools and prompts.

use std::collections::HashMap;

use crate::store::servers::ToolPrefix;

/// Clients cut or refuse longer names.
const MAX_NAME: usize = 64;

/// Which names are taken by whom.
pub struct Names {
    prefix: ToolPrefix,
    /// By bare name: the names with their connectors before them.
    seen: HashMap<String, Vec<String>>,
}

impl Names {
    /// Of these things: connector and own name.
    pub fn of<'a>(prefix: ToolPrefix, things: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut seen: HashMap<String, Vec<String>> = HashMap::new();
        for (connector, name) in things {
            seen.entry(fit(name)).or_default().push(qualified(connector, name));
        }
        Self { prefix, seen }
    }

    /// The name of one of them.
    pub fn name(&self, connector: &str, name: &str) -> String {
        let bare = fit(name);
        match self.prefix {
            ToolPrefix::Always => qualified(connector, name),
            ToolPrefix::Conflict if self.candidates(&bare).is_some() => qualified(connector, name),
            ToolPrefix::Conflict | ToolPrefix::Never => bare,
        }
    }

    /// The names of all that share this bare name, where they are several.
    pub fn candidates(&self, bare: &str) -> Option<&[String]> {
        self.seen.get(bare).map(Vec::as_slice).filter(|all| all.len() > 1)
    }
}

fn qualified(connector: &str, name: &str) -> String {
    fit(&format!("{connector}_{name}"))
}

/// At most 64 characters that all clients take; what is cut ends in a digest of the whole, so that names stay apart.
pub fn fit(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' }).collect();
    if clean.len() <= MAX_NAME {
        return clean;
    }
    let digest = amalgam_vault::hex(&amalgam_vault::hash_token(name));
    format!("{}_{}", &clean[..MAX_NAME - 9], &digest[..8])
}
