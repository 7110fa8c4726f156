//! What differs, held against the differences that are explained.

use std::collections::BTreeSet;

use amalgam_connector::definition::Difference;

/// The differences of one action.
#[derive(Default)]
pub struct Report {
    found: Vec<(String, String)>,
}

impl Report {
    /// Adds a difference: its name, and what it is in words.
    pub fn add(&mut self, what: String, words: String) {
        if !self.found.iter().any(|(known, _)| *known == what) {
            self.found.push((what, words));
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// The lines to show: what is not explained by the action or by the connector, and explanations of the action that nothing needs.
    /// `used` collects what the connector explains.
    pub fn lines<'e>(self, own: &[Difference], common: &'e [Difference], used: &mut BTreeSet<&'e str>) -> (Vec<String>, usize) {
        let mut lines = Vec::new();
        let mut explained = 0;
        for (what, words) in &self.found {
            let common = common.iter().find(|difference| explains(difference, what));
            used.extend(common.map(|difference| difference.what.as_str()));
            if common.is_some() || own.iter().any(|difference| explains(difference, what)) {
                explained += 1;
            } else {
                lines.push(format!("{what} ({words})"));
            }
        }
        let known = |difference: &&Difference| self.found.iter().any(|(what, _)| explains(difference, what));
        for stale in own.iter().filter(|difference| !is_of_sample(difference) && !known(difference)) {
            lines.push(format!("`differs` explains `{}`, which does not differ; leave it out", stale.what));
        }
        (lines, explained)
    }
}

/// Whether it explains what the mock of the vendor says of the sample, which the clients' tests hold against it (tests/clients/vendors).
pub fn is_of_sample(difference: &Difference) -> bool {
    difference.what.starts_with("sent ")
}

/// Whether an explanation is about this difference. A `*` in it stands for any text.
fn explains(difference: &Difference, what: &str) -> bool {
    match difference.what.split_once('*') {
        Some((start, end)) => what.len() >= start.len() + end.len() && what.starts_with(start) && what.ends_with(end),
        None => difference.what == what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn because(what: &str) -> Difference {
        Difference { what: what.to_owned(), why: "It is right.".to_owned() }
    }

    fn lines(own: &[Difference], common: &[Difference]) -> (Vec<String>, usize, usize) {
        let mut report = Report::default();
        report.add("query ts: type".to_owned(), "string here, number there".to_owned());
        report.add("query ts: type".to_owned(), "again".to_owned());
        report.add("body x: strict".to_owned(), "only here".to_owned());
        let mut used = BTreeSet::new();
        let (lines, explained) = report.lines(own, common, &mut used);
        (lines, explained, used.len())
    }

    #[test]
    fn what_is_explained_is_silent_and_what_is_stale_is_not() {
        assert_eq!(lines(&[], &[]).0, ["query ts: type (string here, number there)", "body x: strict (only here)"]);
        assert_eq!(lines(&[because("query ts: type"), because("sent query a: format")], &[because("*: strict")]), (vec![], 2, 1));
        let (found, explained, _) = lines(&[because("query t: type"), because("query *: type")], &[]);
        assert_eq!((explained, found.len()), (1, 2));
        assert!(found.iter().any(|line| line.contains("`query t: type`, which does not differ")), "{found:?}");
    }
}
