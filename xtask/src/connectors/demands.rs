//! What every built-in connector must have, whether the vendors' documents are there or not. What a platform does not offer is named in
//! `vendor.absent`, with the reason.

use std::collections::BTreeSet;

use amalgam_connector::definition::{Absent, Action, Definition, Effect, OAuth2};

use crate::root;

const CATEGORIES: [&str; 12] = [
    "accounting",
    "communication",
    "content-management",
    "crm",
    "customer-support",
    "developer-tools",
    "e-commerce",
    "finance",
    "marketing",
    "payments",
    "productivity",
    "storage",
];
/// A connector that explains fewer errors leaves a model alone.
const MEANINGS: usize = 5;

/// What is demanded and not there, and what is there.
struct Demands<'d> {
    definition: &'d Definition,
    lines: Vec<String>,
    /// Reasons that were needed: what is absent, and of which action or scope.
    needed: BTreeSet<(&'static str, String)>,
}

/// The lines of what a definition lacks.
pub fn check(definition: &Definition) -> Vec<String> {
    let mut demands = Demands { definition, lines: Vec::new(), needed: BTreeSet::new() };
    demands.connector();
    for scheme in definition.auth.iter().filter_map(|scheme| scheme.oauth2.as_ref()) {
        demands.oauth(scheme);
    }
    for (id, action) in &definition.actions {
        demands.action(id, action);
    }
    demands.stale();
    demands.lines
}

impl Demands<'_> {
    fn connector(&mut self) {
        let definition = self.definition;
        let odd = definition.categories.iter().find(|category| !CATEGORIES.contains(&category.as_str()));
        if let Some(odd) = odd {
            self.say(format!("`categories` has {odd}, which no list of platforms shows; known are {}", CATEGORIES.join(", ")));
        }
        if definition.categories.is_empty() {
            self.say("`categories` is empty".to_owned());
        }
        if !definition.docs.as_ref().is_some_and(|docs| docs.starts_with("https://")) {
            self.say("`docs` does not lead to the vendor's reference".to_owned());
        }
        if !root().join("connectors").join(&definition.id).join("icon.svg").is_file() {
            self.say("there is no icon.svg beside it".to_owned());
        }
        if definition.errors.as_ref().is_none_or(|errors| errors.meanings.len() < MEANINGS) {
            self.say(format!("`errors.meanings` explains fewer than {MEANINGS} errors"));
        }
        if definition.rate_limit.is_none() {
            self.need("rate_limit", "", "`rate_limit` does not say how often it may be called");
        }
    }

    fn oauth(&mut self, scheme: &OAuth2) {
        if scheme.revoke_url.is_none() {
            self.need("revoke_url", "", "`revoke_url` does not say where a token is revoked");
        }
        let used: BTreeSet<&str> =
            self.definition.actions.values().flat_map(|action| &action.scopes).flat_map(|scopes| scopes.split(' ')).collect();
        for scope in used.iter().filter(|scope| !scheme.scopes.contains_key(**scope)) {
            self.say(format!("an action needs the scope {scope}, which nobody is asked for"));
        }
        for scope in scheme.scopes.keys().filter(|scope| !used.contains(scope.as_str())) {
            self.need("use", scope, "no action needs this scope: do not ask for it");
        }
        let without = self.definition.actions.iter().filter(|(_, action)| action.auth && action.scopes.is_empty());
        for (id, _) in without.filter(|_| !scheme.scopes.is_empty()) {
            self.need("scopes", id, "`scopes` does not say what a token needs");
        }
    }

    fn action(&mut self, id: &str, action: &Action) {
        if action.sample.is_none() {
            self.say(format!("{id} has no `sample`"));
        }
        if is_list(action) && action.pagination.is_none() {
            self.need("paging", id, "`pagination` does not say how further pages of this list are asked for");
        }
    }

    fn say(&mut self, what: String) {
        self.lines.push(format!("{}: {what}", self.definition.id));
    }

    /// Something that may be absent for a reason.
    fn need(&mut self, what: &'static str, of: &str, words: &str) {
        let reasons = self.definition.vendor.iter().flat_map(|vendor| &vendor.absent);
        if reasons.into_iter().any(|absent| explains(absent, what, of)) {
            self.needed.insert((what, of.to_owned()));
        } else {
            let place = if of.is_empty() { String::new() } else { format!("{of}: ") };
            self.say(format!("{place}{words}; or explain it as `{what}` in `vendor.absent`"));
        }
    }

    /// Reasons for what is not absent.
    fn stale(&mut self) {
        let all: Vec<(&str, &str)> = self.definition.vendor.iter().flat_map(|vendor| &vendor.absent).flat_map(named).collect();
        for (what, of) in all {
            if !self.needed.iter().any(|(known, place)| *known == what && place == of) {
                self.say(format!(
                    "`vendor.absent` explains `{what}`{}{of}, which is not absent; leave it out",
                    if of.is_empty() { "" } else { " of " }
                ));
            }
        }
    }
}

fn named(absent: &Absent) -> Vec<(&str, &str)> {
    let what = absent.what.as_str();
    if absent.of.is_empty() { vec![(what, "")] } else { absent.of.iter().map(|of| (what, of.as_str())).collect() }
}

fn explains(absent: &Absent, what: &str, of: &str) -> bool {
    !absent.why.is_empty() && named(absent).contains(&(what, of))
}

/// Whether an action reads a list, as far as its definition tells.
fn is_list(action: &Action) -> bool {
    let says_so = ["List ", "Search ", "Find "].iter().any(|verb| action.name.starts_with(verb));
    action.effect() == Effect::Read && (says_so || action.response.as_ref().is_some_and(|response| response.items.is_some()))
}

#[cfg(test)]
mod tests {
    use amalgam_connector::definition::Vendor;
    use amalgam_connector::parse::parse_toml;

    use super::*;

    #[test]
    fn what_is_absent_needs_a_reason_and_a_reason_needs_what_is_absent() {
        let text = std::fs::read_to_string(root().join("connectors/gmail/connector.toml")).unwrap();
        let mut definition = parse_toml(&text).unwrap();
        assert_eq!(check(&definition), Vec::<String>::new());
        let reasons = definition.vendor.as_mut().map(|vendor: &mut Vendor| std::mem::take(&mut vendor.absent)).unwrap();
        let list = "gmail.users.labels.list: `pagination` does not say";
        assert!(check(&definition).iter().any(|line| line.contains(list)), "{:?}", check(&definition));
        definition.vendor.as_mut().unwrap().absent = reasons;
        definition.vendor.as_mut().unwrap().absent.push(Absent { what: "rate_limit".into(), of: Vec::new(), why: "None.".into() });
        assert!(check(&definition).iter().any(|line| line.contains("explains `rate_limit`, which is not absent")));
        definition.actions.values_mut().for_each(|action| action.sample = None);
        assert!(check(&definition).iter().any(|line| line.contains("has no `sample`")));
    }
}
